"""Makes steps: a recipe in one phase, with everything that its output can depend on.

recipe ─┬─styles──▶ commands
        ├─toolchain──▶ environment, additions
        └─graph──▶ dependencies, tools, in order
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePath

from plan import graph
from plan.compiling import styles, toolchain
from plan.compiling.architecture import Machines
from plan.compiling.toolchain import Compiler, Tools
from plan.errors import BuildError
from plan.model import SYSROOT_FROM_SEED, Initramfs, Recipe, Step


@dataclass(frozen=True)
class Maker:
    """Turns the recipes of one phase, for one target, into steps."""

    recipes: Mapping[str, Recipe]
    depends: Mapping[str, Sequence[str]]
    machines: Machines
    architectures: Collection[str]
    """The names of all architectures. A recipe's file named ARCHITECTURE.… is only for that one."""
    phase: str
    initramfs: Mapping[str, Initramfs]
    """The kernel → the initramfs inside it."""
    seed: Tools
    tools: Mapping[str, tuple[str, ...]]
    """Package → the tools in its build root, in addition to the seed."""

    @cached_property
    def own(self) -> Compiler:
        """Our own compiler."""
        return toolchain.own_compiler(self.recipes)

    def steps(self, names: Sequence[str]) -> dict[str, Step]:
        """The steps of the packages `names` (in build order) and of the tools between them.

        Raises BuildError for a recipe that is not written for the target, or has a wrong option.
        """
        if self.phase == SYSROOT_FROM_SEED and self.tools:
            names = graph.order(
                names, {name: (*self.tools[name], *self.depends[name]) for name in self.depends}
            )
        return {name: self._step(self.recipes[name]) for name in names}

    def _step(self, recipe: Recipe) -> Step:
        # The kernel contains the initramfs, so its step depends on all packages of the initramfs.
        initramfs = self.initramfs.get(recipe.name)
        packed = initramfs.packages if initramfs else ()
        compiler = self.seed.compiler or self.own
        environment = toolchain.environment(self.machines, compiler) | dict(recipe.environment)
        others = self._others(recipe)
        patches = tuple(path for path in recipe.patches if path not in others)
        patched = replace(recipe, patches=patches)
        return Step(
            name=recipe.name,
            phase=self.phase,
            version=recipe.version,
            sources=recipe.sources,
            files=tuple(file for file in recipe.files if file[0] not in others),
            depends=tuple(graph.order((*recipe.depends, *packed), self.depends)),
            tools=self.tools.get(recipe.name, ()),
            environment=tuple(sorted(environment.items())),
            commands=styles.commands(patched, self.machines, environment),
            remove=(*styles.ALWAYS_REMOVED, *recipe.remove),
            additions=toolchain.additions(self.machines, compiler, self.own),
            initramfs=initramfs,
        )

    def _others(self, recipe: Recipe) -> list[str]:
        """The recipe's files for other architectures than the target: NAME.* and patches/NAME.*."""
        target = self.machines.target.name
        own = [path for path, _ in recipe.files if str(PurePath(path).parent) in (".", "patches")]
        of = {path: PurePath(path).stem for path in own}
        others = [
            path for path, name in of.items() if name in self.architectures and name != target
        ]
        needed = [path for path in others if "/" not in path]
        if needed and target not in {name for path, name in of.items() if "/" not in path}:
            wanted = PurePath(needed[0]).with_stem(target)
            raise BuildError(
                f"{recipe.name} is not written for {target} yet",
                where=f"{recipe.file.removesuffix('.yaml')}/{wanted}",
                hint=f"add that file: {needed[0]} is one for another architecture",
            )
        return others
