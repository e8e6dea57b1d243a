# Reads a file of NoCloud as data: the part of YAML below, no more. Nothing of it is run here.
#   from: the file's name for messages    wanted: its keys that count    out: where each value goes
# Each wanted key becomes a file out/KEY; runcmd a shell script, one item a line or more;
# write_files the files out/file-N.path, .mode and .content.
#
#   document  KEY: VALUE, or KEY: and a list, from the first column; "---" before, "#" comments
#   list      "- VALUE"; for runcmd also "- [WORD, WORD]"; for write_files "- path: VALUE" and so on
#   VALUE     plain on one line, 'single', "double", or a block (| |- |+ > >-)
#
# A key with anything else (a tab in the indentation, {}, &, *, !, a wrong type) is left out as a
# whole and named on standard error, as each key that is not wanted; the keys after it count.

function told(line, text) {
  if (++messages <= 20) print "cloud: not done: line " line " of " from ": " text > "/dev/stderr"
}
# The first fault of a key; everything that reads returns then.
function fail(text) {
  if (fault == "") { fault = text; fault_at = at }
  return ""
}
function indent(text) { match(text, /^ */); return RLENGTH }
function skip_blank() { while (at <= lines && L[at] ~ /^ *(#.*)?$/) at++ }
function ended(below) {
  skip_blank()
  if (at <= lines && L[at] ~ /^ *\t/) fail("a tab in the indentation")
  return fault != "" || at > lines || indent(L[at]) < below
}

# --- Values
function rest_is_empty(text) {
  if (text !~ /^ *$/ && text !~ /^ +#/) fail("text after the closing quotation mark")
}
function single(text,   i, c, value) { # sets after: what follows the value
  for (i = 2; i <= length(text); i++) {
    c = substr(text, i, 1)
    if (c != "'") value = value c
    else if (substr(text, i + 1, 1) == "'") { value = value c; i++ }
    else { after = substr(text, i + 1); return value }
  }
  return fail("no closing quotation mark on the line")
}
function double(text,   i, c, value) {
  for (i = 2; i <= length(text); i++) {
    c = substr(text, i, 1)
    if (c == "\"") { after = substr(text, i + 1); return value }
    if (c == "\\") {
      c = substr(text, ++i, 1)
      if (!(c in ESCAPE)) return fail("an escape that is not one of \\n \\t \\\\ \\\" \\/")
      c = ESCAPE[c]
    }
    value = value c
  }
  return fail("no closing quotation mark on the line")
}
function plain(text) {
  sub(/^#.*/, "", text)
  sub(/[ \t]+#.*/, "", text)
  sub(/[ \t]+$/, "", text)
  if (text ~ /^[][&*!%@`{},|>]/ || text ~ /^[-?:]( |$)/) return fail("not a text: " substr(text, 1, 20))
  if (text ~ /:( |$)/) return fail("a mapping where a text is expected")
  return text == "~" || text == "null" ? "" : text
}
function block(text, parent,   base, value, line, fold, keep) {
  if (text !~ /^[|>][+-]?[ \t]*(#.*)?$/) return fail("a block with an unknown header")
  fold = text ~ /^>/; keep = substr(text, 2, 1); at++
  base = -1
  for (; at <= lines; at++) {
    line = L[at]
    if (line ~ /^ *$/) { value = value "\n"; continue }
    if (indent(line) <= parent || (base >= 0 && indent(line) < base)) break
    if (base < 0) base = indent(line)
    line = substr(line, base + 1)
    if (fold && line ~ /^ /) return fail("a folded block with deeper lines")
    value = value line "\n"
  }
  if (keep != "+") { sub(/\n+$/, "", value); if (keep != "-" && value != "") value = value "\n" }
  return fold ? folded(value) : value
}
function folded(value,   tail) {
  match(value, /\n*$/)
  tail = substr(value, RSTART)
  value = substr(value, 1, RSTART - 1)
  gsub(/\n\n/, "\001", value); gsub(/\n/, " ", value); gsub(/\001/, "\n", value)
  return value tail
}
# The value that begins with `text` on this line; what is deeper than `parent` belongs to it.
function scalar(text, parent,   value) {
  sub(/^ +/, "", text)
  if (text ~ /^[|>]/) return block(text, parent)
  after = ""
  value = text ~ /^'/ ? single(text) : text ~ /^"/ ? double(text) : plain(text)
  rest_is_empty(after)
  at++
  if (!ended(parent + 1)) fail("a value over several lines")
  return value
}
# The words of [A, B] as one line of a shell.
function words(text,   line, word) {
  sub(/^ *\[ */, "", text)
  while (fault == "" && text !~ /^\]/) {
    if (text ~ /^['"]/) { word = text ~ /^'/ ? single(text) : double(text); text = after }
    else { match(text, /^[^],]*/); word = plain(substr(text, 1, RLENGTH)); text = substr(text, RLENGTH + 1) }
    gsub(/'/, "'\\\\''", word)
    line = line (line == "" ? "" : " ") "'" word "'"
    sub(/^ */, "", text)
    if (text ~ /^,/) sub(/^, */, "", text)
    else if (text !~ /^\]/) return fail("a list that does not end on its line")
  }
  rest_is_empty(substr(text, 2))
  at++
  return line
}

# --- Keys
function file_entry(text, base,   column, key, entry, where) {
  where = at
  match(text, /^ */)
  column = base + 1 + RLENGTH
  L[at] = sprintf("%" column "s", "") substr(text, RLENGTH + 1)
  while (!ended(column)) {
    if (indent(L[at]) > column || !match(L[at], /^ *[a-z_-]+:( |$)/)) return fail("not KEY: VALUE")
    key = substr(L[at], column + 1, index(L[at], ":") - column - 1)
    entry[key] = scalar(substr(L[at], index(L[at], ":") + 1), column)
    if (key !~ /^(path|content|permissions|owner|encoding)$/) return fail("write_files has " key)
  }
  if (entry["path"] !~ /^\/[^\n]*[^\n\/]$/) return fail("a file without an absolute path")
  if (entry["owner"] !~ /^(root(:root)?)?$/) return fail("an owner that is not root")
  if (entry["encoding"] !~ /^(text\/plain)?$/) return fail("the encoding " entry["encoding"])
  if (entry["permissions"] !~ /^(0?[0-7][0-7][0-7])?$/) return fail("permissions that are not 0644 or so")
  PATH[++files] = entry["path"]; CONTENT[files] = entry["content"]
  MODE[files] = entry["permissions"] == "" ? "0644" : entry["permissions"]
}
function list(key,   base, text, value) {
  if (ended(0) || L[at] !~ /^ *-( |$)/) return fail("a list is expected")
  base = indent(L[at])
  while (!ended(base) && L[at] ~ /^ *-( |$)/ && fault == "") {
    if (indent(L[at]) > base) return fail("a wrong indentation")
    text = substr(L[at], base + 2)
    if (key == "write_files") file_entry(text, base)
    else if (key == "runcmd" && text ~ /^ *\[/) value = value words(text) "\n"
    else value = value scalar(text, base) "\n"
  }
  if (!ended(1)) fail("a wrong indentation")
  return value
}
function write(name, value) { printf "%s", value > (out "/" name); close(out "/" name) }
function wanted_key(key, text,   value, i, before, name) {
  before = files
  if (key !~ /^(ssh_authorized_keys|runcmd|write_files)$/) value = scalar(text, 0)
  else if (text ~ /^ *(#.*)?$/) { at++; value = list(key) }
  else fail("a list is expected")
  if (fault != "") { files = before; return }
  if (key != "write_files") write(key, value)
  for (i = before + 1; i <= files; i++) {
    # Of two files with one path the last one stays.
    name = sprintf("file-%05d", i)
    write(name ".path", PATH[i]); write(name ".mode", MODE[i]); write(name ".content", CONTENT[i])
  }
}

BEGIN { ESCAPE["n"] = "\n"; ESCAPE["t"] = "\t"; ESCAPE["\\"] = "\\"; ESCAPE["\""] = "\""; ESCAPE["/"] = "/" }
NR > 50000 { exit }
{ sub(/\r$/, ""); L[lines = NR] = $0 }
END {
  at = 1
  if (NR > 50000) { told(50000, "the file has more lines than that: nothing is done"); exit }
  if (from == "user-data" && L[1] !~ /^#cloud-config[ \t]*$/) {
    told(1, "it is not #cloud-config: nothing is done")
    exit
  }
  while (at <= lines) {
    fault = ""; start = at
    if (L[at] ~ /^ *(#.*)?$/ || L[at] ~ /^(---|\.\.\.) *$/) { at++; continue }
    if (match(L[at], /^[A-Za-z0-9_-]+:( |$)/)) {
      key = substr(L[at], 1, index(L[at], ":") - 1)
      text = substr(L[at], index(L[at], ":") + 1)
      if (seen[key]++) told(at, key " a second time")
      else if (index(" " wanted " ", " " key " ")) {
        wanted_key(key, text)
        if (fault == "") continue
        told(fault_at, key ", because of " fault)
      } else told(at, key)
    } else told(at, "no KEY: VALUE")
    for (at = start + 1; at <= lines && L[at] !~ /^[A-Za-z0-9_-]+:( |$)/; at++);
  }
  if (messages > 20) print "cloud: not done: " messages - 20 " more" > "/dev/stderr"
}
