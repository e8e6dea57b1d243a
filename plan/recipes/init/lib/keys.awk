# Passes on the lines of an authorized_keys file (sshd(8)) that hold a key which dropbear takes, and
# says on standard error what it ignores. from: the name of the file for these messages.
# A file from another system may end its lines with "\r\n", and begin with a byte order mark.
function ignored(why) {
  if (++count <= 10) print "keys: ignored: line " FNR " of " from ": " why > "/dev/stderr"
}
BEGIN {
  kind = "(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)" \
    "|sk-ssh-ed25519@openssh[.]com|sk-ecdsa-sha2-nistp256@openssh[.]com)"
  key = "(^|[ \t])" kind "[ \t]+AAAA[A-Za-z0-9+/]+=*([ \t]|$)"
}
{ sub(/\r$/, "") }
FNR == 1 { sub(/^\357\273\277/, "") }
/^[ \t]*(#|$)/ { next }
length($0) > 4000 { ignored("longer than 4000 characters"); next } # dropbear's limit is 4200
/[^\t -~\200-\377]/ { ignored("control characters"); next }
$0 ~ key { print; next }
{ ignored("no key: " (/PRIVATE KEY/ ? "that is of a private key" : substr($0, 1, 40))) }
END { if (count > 10) print "keys: ignored: " count - 10 " more lines of " from > "/dev/stderr" }
