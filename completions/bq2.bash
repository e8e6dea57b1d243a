# Completes the words of `./bq2` and, in the directory of this checkout, of `doit`. For bash:
#
#     source PATH/completions/bq2.bash      (in ~/.bashrc, say)
#
# For programs of other checkouts it offers file names, as bash does by default.

_bq2_root=$(readlink -f -- "${BASH_SOURCE[0]}")
_bq2_root=${_bq2_root%/*/*}
_bq2_words='import sys; sys.path.insert(0, sys.argv.pop(1)); from tasks import completion; completion.main()'

_bq2() {
  case $1 in
    doit) [ . -ef "$_bq2_root" ] || return ;;
    *) [ "$1" -ef "$_bq2_root/bq2" ] || return ;;
  esac
  # Use COMP_LINE: bash splits COMP_WORDS at ":" and "=".
  local line=${COMP_LINE:0:COMP_POINT} current before breaks=${COMP_WORDBREAKS//[!:=]/} python
  current=${line##*[[:space:]]}
  read -r -a before <<<"${line%"$current"}"
  python=$_bq2_root/.venv/bin/python
  [ -x "$python" ] || python=python3
  mapfile -t COMPREPLY < <(
    "$python" -I -S -c "$_bq2_words" "$_bq2_root" "${before[@]:1}" "$current" 2>/dev/null
  )
  # bash replaces only what follows the last break.
  [ -z "$breaks" ] || COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*[$breaks]}"}"}")
  case ${COMPREPLY[*]} in *[:=/]) compopt -o nospace ;; esac
}

complete -o default -F _bq2 bq2 doit
