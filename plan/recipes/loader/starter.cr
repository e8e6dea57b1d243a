# The program that the firmware starts: \EFI\BOOT\BOOTX64.EFI (BOOTAA64.EFI). It chooses one of the two
# places, and starts the loader there. An update writes everything but this file.
#
# \BQ2\STATE is one sector, so a power cut leaves the old one or the new one:
#   BQ2 A - A 0000 00000000000000000000000000000000
#       |   | |    +- of whoever wrote it; not read here
#       |   | +- the seconds in which a tried system must be kept
#       |   +- the place that was started last; the starter writes it
#       (the letter before it) the place to try once, or "-"
# The first letter is the place that is kept. The place to try is removed, and that is on the disk, before
# it is started. So whatever happens then, the next start takes the place that is kept.
require "./program"

struct Program
  SECTOR  = 512_u64
  KEPT    =   4_i64 # where each is in the sector
  TRIED   =   6_i64
  STARTED =   8_i64
  TIME    =  10_i64

  def run : Efi::Status
    device = loaded_image(@handle).value.device
    sector = uninitialized UInt8[512]
    state = pointerof(sector).as(UInt8*)
    known = known?(device, state)
    tried = known ? letter(state + TRIED) : 0_u16
    try_place(device, state, tried) if tried != 0_u16
    kept = known && letter(state + KEPT) == B ? B : A
    start_place(device, state, known, kept)
    start_place(device, state, known, kept == A ? B : A)
    say("bq2: there is nothing to start; write the image anew\r\n")
    @boot.value.stall.call(5_000_000_u64)
    NOT_FOUND
  end

  # The letter of a place at `at`; 0 if it is none.
  def letter(at : UInt8*) : UInt16
    char = at.value.to_u16!
    char == A || char == B ? char : 0_u16
  end

  # Start `place` once. Where the mark cannot be removed it would be tried for ever, so it is not started.
  def try_place(device : Efi::Handle, state : UInt8*, place : UInt16)
    (state + TRIED).value = 45_u8 # "-"
    (state + STARTED).value = place.to_u8!
    if written?(device, state)
      start_with(device, place, state + TIME)
    else
      say("bq2: \\BQ2\\STATE cannot be written, so the new system is not tried\r\n")
    end
  end

  # Start `place`, and record that, if the record says another one.
  def start_place(device : Efi::Handle, state : UInt8*, known : Bool, place : UInt16)
    if known && letter(state + STARTED) != place
      (state + STARTED).value = place.to_u8!
      written?(device, state)
    end
    start_with(device, place, Pointer(UInt8).new(0_u64))
  end

  # Start the loader of `place`. Its words are the letter and, if the place is tried, the four digits at
  # `seconds`; otherwise that is a null pointer. This returns only if it fails.
  def start_with(device : Efi::Handle, place : UInt16, seconds : UInt8*)
    buffer = uninitialized UInt16[8]
    words = pointerof(buffer).as(UInt16*)
    words.value = place
    (words + 1_i64).value = 0_u16
    if seconds.address != 0_u64
      (words + 1_i64).value = SPACE
      i = 0_i64
      while i < 4_i64
        (words + (i &+ 2_i64)).value = (seconds + i).value.to_u16!
        i = i &+ 1_i64
      end
      (words + 6_i64).value = 0_u16
    end
    name = uninitialized UInt16[64]
    text = pointerof(name).as(UInt16*)
    path(place, "\\LOADER.EFI", text)
    size = 0_u64
    loader = read(device, text, pointerof(size))
    if loader.address == 0_u64
      failed(text, "cannot be read", NOT_FOUND)
    else
      status = start(device, loader, size, words)
      failed(text, "ended, or is refused by the firmware", status)
    end
  end

  # Read the sector; whether it is one.
  def known?(device : Efi::Handle, state : UInt8*) : Bool
    file = opened_state(device, READ)
    return false if file.address == 0_u64
    size = SECTOR
    status = file.value.read.call(file, pointerof(size), state)
    file.value.close.call(file)
    status == SUCCESS && size == SECTOR && state.value == 66_u8 && # "BQ2"
      (state + 1_i64).value == 81_u8 && (state + 2_i64).value == 50_u8
  end

  # Write the sector in its place; whether it is on the disk.
  def written?(device : Efi::Handle, state : UInt8*) : Bool
    file = opened_state(device, CHANGE)
    return false if file.address == 0_u64
    size = SECTOR
    status = file.value.write.call(file, pointerof(size), state)
    status = file.value.flush.call(file) if status == SUCCESS
    file.value.close.call(file)
    status == SUCCESS && size == SECTOR
  end

  def opened_state(device : Efi::Handle, mode : UInt64) : Efi::File*
    name = uninitialized UInt16[64]
    text = pointerof(name).as(UInt16*)
    wide("\\BQ2\\STATE", text)
    opened(device, text, mode)
  end
end

fun efi_main(handle : Efi::Handle, system : Efi::SystemTable*) : Efi::Status
  Program.new(handle, system).run
end
