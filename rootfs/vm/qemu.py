"""Makes QEMU's command line for a machine with UEFI firmware, and checks whether KVM works.

QEMU writes to no given file (unless `persist`): it opens the firmware's variables and the image
through temporary overlays. QEMU unlinks them at once, so even `kill -9` leaves no file. KVM is used
only if the firmware runs under it.

    /dev/kvm writable? -- no --> tcg
      | yes
    kvm.json has this boot and this QEMU? -- yes --> its verdict
      | no
    the firmware under KVM, without a disk: a first byte on the console --> kvm
      | an error, "KVM internal error", no output
      +--> tcg
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from plan.compiling.architecture import ACCELERATORS, load_architecture
from plan.errors import BuildError
from plan.outputs import write_file
from rootfs.vm import devices
from rootfs.vm.firmware import Firmware, Flash, file_format, find_firmware, find_qemu
from rootfs.vm.guest_console import End, Program, listen

# Firmware under a working KVM prints within seconds; without one QEMU fails at once.
_TRIAL_SECONDS = 10.0
KVM = Path("/dev/kvm")
_NO_SCREEN = ["-display", "none"]
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Machine:
    """The emulated machine.

    arch: its architecture. memory_mib: MiB of memory. cpus: processors; None: as the host, at most
    four. accel: "kvm", "tcg", or None: KVM if it works.
    cache: the directory that keeps the verdict on KVM until the next reboot; None: test each time.
    days_ahead: how many days its clock is ahead of the host's.
    ports: it has a network card behind QEMU's own router, and these ports of the host (127.0.0.1)
    lead to ports of it; None: no card. files: what it sees by these names (fw_cfg).
    disk: the bus of its disk. card: the model of its card (rootfs/vm/devices.py has both lists).
    share: a directory of the host that it sees. display: the kind of its window; None: no screen.
    more: other options of QEMU.
    """

    arch: str
    memory_mib: int = 512
    cpus: int | None = None
    accel: str | None = None
    cache: Path | None = None
    days_ahead: int = 0
    ports: tuple[tuple[int, int], ...] | None = None
    files: tuple[tuple[str, Path], ...] = ()
    disk: str = "virtio"
    card: str = "virtio-net-pci"
    share: Path | None = None
    display: str | None = None
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class Emulator:
    """A machine with its QEMU, firmware and accelerator."""

    machine: Machine
    qemu: Path
    firmware: Firmware
    accel: str

    def command(
        self, *, image: Path | None = None, persist: bool = False, run: str | None = None
    ) -> list[str]:
        """QEMU's argv; the serial console is on its standard input and output.

        image: the disk, in any format of `file_format`. persist: keep the guest's writes in it.
        run: the path of a file that the guest sees as `opt/bq2/run` (fw_cfg).
        """
        known = load_architecture(self.machine.arch).qemu
        cpus = self.machine.cpus or min(os.cpu_count() or 1, 4)
        argv = [os.fspath(self.qemu), "-nodefaults", "-no-user-config"]
        argv += devices.screen(self.machine.display) if self.machine.display else _NO_SCREEN
        argv += ["-machine", known.machine, "-cpu", known.processor[self.accel]]
        argv += ["-accel", _emulation(self.machine) if self.accel == "tcg" else self.accel]
        argv += ["-smp", str(cpus), "-m", str(self.machine.memory_mib)]
        # Firmware for aarch64 waits five seconds for a key, if it is not told how long to wait.
        argv += ["-boot", "menu=on,splash-time=0"]
        argv += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
        argv += ["-device", "virtio-rng-pci"]
        if self.machine.days_ahead:
            then = datetime.now(UTC) + timedelta(days=self.machine.days_ahead)
            argv += ["-rtc", f"base={then:%Y-%m-%dT%H:%M:%S}"]
        argv += _firmware(self.firmware)
        if image:
            disk = f"if=none,id=disk,format={file_format(image)},file={_escaped(image)}"
            argv += ["-drive", disk if persist else f"{disk},snapshot=on"]
            argv += devices.disk(self.machine.disk, "disk", place=0)
        if self.machine.ports is not None:
            argv += devices.card(self.machine.card, self.machine.ports)
        if self.machine.share:
            argv += devices.share(self.machine.share)
        for name, path in self.machine.files:
            argv += ["-fw_cfg", f"name={name},file={_escaped(path)}"]
        if run is not None:
            argv += ["-no-reboot", "-fw_cfg", f"name=opt/bq2/run,file={run}"]
        return [*argv, *self.machine.more]


def _emulation(machine: Machine) -> str:
    """TCG; a small machine has a limit, in MiB, for the code that it has translated.

    By default QEMU keeps a GiB. After a restart of the guest all of that is stale, and QEMU takes
    it out page by page while the guest writes there: that takes longer than the restart itself. A
    large machine compiles, maybe: a compiler's code must not be translated again and again.
    """
    limit = f",tb-size={max(32, machine.memory_mib // 16)}" if machine.memory_mib < 2048 else ""
    return f"tcg,thread=multi{limit}"


def _firmware(firmware: Firmware) -> list[str]:
    if firmware.kernel:
        return ["-kernel", os.fspath(firmware.code.path)]
    if firmware.variables is None:
        return ["-drive", _flash(firmware.code, "snapshot=on")]
    code = _flash(firmware.code, "readonly=on")
    return ["-drive", code, "-drive", _flash(firmware.variables, "snapshot=on")]


def _flash(flash: Flash, access: str) -> str:
    return f"if=pflash,format={flash.format},{access},file={_escaped(flash.path)}"


def _escaped(path: Path) -> str:
    """`path` for a QEMU option: absolute ("nbd:x" would be a protocol), commas doubled."""
    return os.fspath(path.absolute()).replace(",", ",,")


def find_emulator(machine: Machine) -> Emulator:
    """QEMU, firmware and accelerator for `machine`.

    Raises BuildError if QEMU or the firmware is missing (with the packages to install), or if
    `machine.accel` is unknown.
    """
    if machine.accel not in (None, *ACCELERATORS):
        known = ", ".join(sorted(ACCELERATORS))
        raise BuildError(f"no accelerator {machine.accel!r}", hint=f"known: {known}")
    qemu = find_qemu(machine.arch)
    firmware = find_firmware(machine.arch, qemu)
    accel = machine.accel or _accelerator(machine, qemu, firmware)
    return Emulator(machine, qemu, firmware, accel)


def distrust_kvm(emulator: Emulator) -> bool:
    """Records that KVM failed: until the next reboot `find_emulator` chooses TCG.

    Returns False if that is not possible: no cache, or the machine names its accelerator.
    """
    machine = emulator.machine
    if machine.cache is None or machine.accel is not None:
        return False
    return _write(machine.cache, _key(emulator.qemu), False)


def kvm_verdict(machine: Machine, qemu: Path) -> bool | None:
    """Whether KVM runs `machine`; None: not known yet, a trial is possible."""
    if machine.arch != platform.machine() or not os.access(KVM, os.R_OK | os.W_OK):
        return False
    return _read(machine.cache).get(_key(qemu)) if machine.cache else None


def _accelerator(machine: Machine, qemu: Path, firmware: Firmware) -> str:
    works = kvm_verdict(machine, qemu)
    if works is None:
        works = _kvm_works(Emulator(machine, qemu, firmware, "kvm"))
        if machine.cache:
            _write(machine.cache, _key(qemu), works)
    return "kvm" if works else "tcg"


def _kvm_works(emulator: Emulator) -> bool:
    """Whether the firmware, started under KVM without a disk, prints to the console."""
    with Program(emulator.command()) as program:
        return listen(program, bool, seconds=_TRIAL_SECONDS) is End.ENOUGH


def version(qemu: Path) -> str:
    """The version that the program `qemu` prints, or its whole output if there is none."""
    process = subprocess.run(
        [qemu, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    found = re.search(r"version (\S+)", process.stdout)
    return found[1] if found else process.stdout


def _key(qemu: Path) -> str:
    """The key of a verdict: this boot of the host and this version of QEMU."""
    return f"{_BOOT_ID.read_text().strip()} {version(qemu)}"


def _read(cache: Path) -> Mapping[str, bool]:
    """The verdicts in `cache`; empty if the file is missing or invalid."""
    try:
        verdicts = json.loads((cache / "kvm.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return verdicts if isinstance(verdicts, dict) else {}


def _write(cache: Path, key: str, works: bool) -> bool:
    """Stores one verdict; verdicts of earlier boots are dropped.

    Returns False if the cache is not writable: then each run makes a trial.
    """
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(cache / "kvm.json", json.dumps({key: works}) + "\n")
    except OSError:
        return False
    return True
