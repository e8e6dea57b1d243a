"""The first 440 bytes of the disk: what a machine with BIOS firmware starts (UEFI 2.10, 5.2.1).

UEFI firmware ignores them. A BIOS loads the first sector at 0x7C00 and jumps there, in 16-bit mode.
This code prints a text that says what to change, and then waits for ever. It calls the BIOS to
print (interrupt 10h, function 0Eh), so the text is on the screen or where the BIOS shows that.
"""

from __future__ import annotations

_LOADED_AT = 0x7C00

TEXT = (
    "This disk starts on UEFI firmware, but this machine has started it by BIOS.\r\n"
    "Set the firmware of the machine to UEFI (also named EFI or OVMF).\r\n"
)

# Machine code of the 8086, one instruction a row. A jump is relative to the instruction after it.
_START = b"".join(
    (
        b"\x31\xc0",  # 00        xor ax, ax
        b"\x8e\xd8",  # 02        mov ds, ax
        b"\xbe%b" % (_LOADED_AT + 0x19).to_bytes(2, "little"),  # 04   mov si, the text
        b"\xfc",  # 07            cld
        b"\xac",  # 08  next:     lodsb
        b"\x84\xc0",  # 09        test al, al
        b"\x74\x09",  # 0b        jz stop
        b"\xb4\x0e",  # 0d        mov ah, 0eh: print al
        b"\xbb\x07\x00",  # 0f    mov bx, 0007h: page 0, grey
        b"\xcd\x10",  # 12        int 10h
        b"\xeb\xf2",  # 14        jmp next
        b"\xf4",  # 16  stop:     hlt
        b"\xeb\xfd",  # 17        jmp stop
    )
)

BOOT_CODE = _START + TEXT.encode("ascii") + b"\0"
