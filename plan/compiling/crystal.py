"""The style `crystal`: Crystal's compiler writes an object, and our own compiler links it.

    main file, lib/ ──crystal──▶ object, and what to link ──our clang──▶ /dest/usr/bin/PROGRAM
           └─ templates (ECR): a program reads them, which the compiler runs at once

Crystal's library asks a pkg-config, which some roots have and some have not: here none is of use,
so that each library is named, and found in /sysroot.
"""

from __future__ import annotations

from collections.abc import Sequence

from plan.model import Command, Recipe

# $1: the program; $2: its main file; then the options of the compiler.
SCRIPT = r"""program=$1 main=$2
shift 2
mkdir -p /tmp/bin /dest/usr/bin
printf '#!/bin/sh\nexit 1\n' > /tmp/bin/pkg-config
export PATH="/tmp/bin:$PATH" CRYSTAL_CACHE_DIR=/tmp/crystal CRYSTAL_LIBRARY_PATH=/sysroot/usr/lib
# The compiler needs more than that. With less at first, it collects garbage again and again.
export GC_INITIAL_HEAP_SIZE=256M
export CC="$CC -unwindlib=libunwind -Wl,--as-needed"
# What the compiler runs at once is linked as what it compiles.
linker=$CC
if [ -n "${BUILD:-}" ]; then
  # That is not for this machine: it is linked to the libraries of the root, which have no links
  # for a linker where they are a seed's.
  linker=host-cc
  cat > /tmp/bin/host-cc <<'END'
#!/bin/sh
for word; do
  shift
  case $word in
  # What is there is for the target.
  -L/sysroot/*) continue ;;
  -lgc | -levent* | -lpcre2*)
    for file in /usr/lib/*/"lib${word#-l}"[-.]*so* "/usr/lib/lib${word#-l}"[-.]*so*; do
      [ ! -e "$file" ] || word=$file
    done ;;
  esac
  set -- "$@" "$word"
done
exec $HOSTCC "$@"
END
fi
chmod +x /tmp/bin/*
# The compiler asks ldd for which C library that is.
case $($linker -dumpmachine) in
*-musl)
  printf '#!/bin/sh\necho musl\n' > /tmp/bin/ldd
  chmod +x /tmp/bin/ldd ;;
esac
# A program of Crystal's library reads templates (ECR). The compiler would build it with --release,
# which takes as long as a small program. But it takes the one that its cache has for that source:
# this one, which builds it quickly, and only if there is a template.
for place in $(crystal env CRYSTAL_PATH | tr : ' '); do
  ecr=$place/ecr/process.cr
  [ ! -e "$ecr" ] || break
done
export ecr linker
kept=$CRYSTAL_CACHE_DIR/$(echo "${ecr#/}" | tr / -)
mkdir -p "$kept"
echo '[]' > "$kept/recorded_requires"
printf '[{"filename":"%s","epoch":%d}]' "$ecr" "$(stat -c %Y "$ecr")" > "$kept/requires"
cat > "$kept/macro_run" <<'END'
#!/bin/sh
if [ ! -e /tmp/macro_run ]; then
  CC=$linker crystal build --no-color --no-debug -D use_pcre2 -o /tmp/macro_run "$ecr" >&2 || exit
fi
exec /tmp/macro_run "$@"
END
chmod +x "$kept/macro_run"
CC=$linker crystal build --no-color --no-debug --cross-compile --target "$ARCH-linux-musl" \
  -D use_pcre2 "$@" -o "/build/$program" "$main" > "/build/$program.link"
cat "/build/$program.link"
# It is a command line that begins with the linker that Crystal was told, and the object is the
# target's. A shell has to expand what asks pkg-config.
link=$(cat "/build/$program.link")
eval "$CC ${link#"$linker "}"
mv "/build/$program" "/dest/usr/bin/$program"
"""


def commands(recipe: Recipe, options: Sequence[str], directory: str) -> list[Command]:
    """The commands that build the programs of `recipe` in `directory`, where its `lib` is.

    options: those of the compiler. Without one that says how much it optimises, it does its best.
    """
    level = [] if any(each.startswith("-O") for each in options) else ["--release"]
    return [
        Command(("sh", "-euc", SCRIPT, "crystal", program, main, *level, *options), directory)
        for program, main in recipe.programs
    ]
