"""Steps: what a recipe comes to in one phase, with everything that its output can depend on.

recipe ─┬─styles──▶ commands
        ├─toolchain──▶ environment, additions
        └─graph──▶ dependencies, tools, in order
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from plan import graph, styles, toolchain
from plan.architecture import Machines
from plan.errors import BuildError
from plan.model import SYSROOT_FROM_SEED, Initramfs, Recipe, Step
from plan.toolchain import Compiler, Tools


@dataclass(frozen=True)
class Maker:
    """Turns the recipes of one phase, for one target, into steps."""

    recipes: Mapping[str, Recipe]
    depends: Mapping[str, Sequence[str]]
    machines: Machines
    architectures: Collection[str]
    """The names of all there are: a recipe's file that is called so is for that one only."""
    phase: str
    initramfs: Initramfs | None
    seed: Tools
    """What compiles, and where a build root has it: the seed, or our own tools."""
    tools: Mapping[str, tuple[str, ...]]
    """Of each package, all that its build root is composed of besides the seed."""

    def steps(self, names: Sequence[str]) -> dict[str, Step]:
        """The steps of the packages `names`, which are in order, and of the tools between them.

        Raises BuildError for a recipe that is not written for the target.
        """
        if self.phase == SYSROOT_FROM_SEED and self.tools:
            names = graph.order(
                names, {name: (*self.tools[name], *self.depends[name]) for name in self.depends}
            )
        return {name: self._step(self.recipes[name]) for name in names}

    def _step(self, recipe: Recipe) -> Step:
        # The kernel carries the initramfs inside, so its step depends on all that goes into it.
        initramfs = self.initramfs if recipe.name == "kernel" else None
        packed = initramfs.packages if initramfs else ()
        compiler = self._compiler(recipe.name)
        environment = toolchain.environment(self.machines, compiler) | dict(recipe.environment)
        return Step(
            name=recipe.name,
            phase=self.phase,
            version=recipe.version,
            sources=recipe.sources,
            files=self._files(recipe),
            depends=tuple(graph.order((*recipe.depends, *packed), self.depends)),
            tools=self.tools.get(recipe.name, ()),
            environment=tuple(sorted(environment.items())),
            commands=styles.commands(recipe, self.machines),
            remove=(*styles.ALWAYS_REMOVED, *recipe.remove),
            additions=toolchain.additions(self.machines, compiler),
            initramfs=initramfs,
        )

    def _compiler(self, name: str) -> Compiler:
        """The seed's, or the phase's own where that is made before."""
        if "llvm" in self.tools.get(name, ()):
            return replace(toolchain.OWN, libraries=self.seed.compiler.libraries)
        return self.seed.compiler

    def _files(self, recipe: Recipe) -> tuple[tuple[str, str], ...]:
        """The recipe's files, of those that are for one architecture only the target's."""
        target = self.machines.target.name
        of = {path: PurePath(path).stem for path, _ in recipe.files}
        others = [
            path for path, name in of.items() if name in self.architectures and name != target
        ]
        if others and target not in of.values():
            wanted = PurePath(others[0]).with_stem(target)
            raise BuildError(
                f"{recipe.name} is not written for {target} yet",
                where=f"plan/recipes/{recipe.name}/{wanted}",
                hint=f"there has to be such a file: {others[0]} is one",
            )
        return tuple(file for file in recipe.files if file[0] not in others)
