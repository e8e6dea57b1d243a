# Completes the words of `./bq2` and, in the directory of this checkout, of `doit`. For zsh:
#
#     source PATH/completions/bq2.zsh      (in ~/.zshrc, say)
#
# For programs of other checkouts it offers file names.

typeset -g _bq2_root=${${(%):-%x}:A:h:h}
typeset -g _bq2_words='
import sys; sys.path.insert(0, sys.argv.pop(1)); from tasks import completion; completion.main()'

_bq2() {
  local command=${(Q)words[1]} python=$_bq2_root/.venv/bin/python
  local -a found open
  if [[ $command == doit && . -ef $_bq2_root || ${~command} -ef $_bq2_root/bq2 ]]; then
    [[ -x $python ]] || python=python3
    found=(${(f)"$(
      $python -I -S -c $_bq2_words $_bq2_root "${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null
    )"})
  fi
  (( $#found )) || { _files; return }
  open=(${(M)found:#*[:=/]})
  compadd -S '' -a open
  found=(${found:#*[:=/]})
  compadd -a found
}

(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _bq2 bq2 doit
