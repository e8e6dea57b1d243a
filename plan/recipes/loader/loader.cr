# The program that knows one kernel. It shows what it will start, checks the kernel's sha256, and starts
# it with a command line that says which disk it was read from. A key that is pressed while the firmware
# starts leads to a menu with the rescue shell; nobody waits for a key otherwise.
#
# The starter starts it with the letter of its place: "A". For a kernel that is tried once, the number of
# seconds follows, in which somebody must say that it is kept: "B 0300".
# The recipe writes built.cr: the title, the kernel's hash, and the words for the kernel's command line.
require "./program"
require "./sha256"
require "./built"

struct Program
  def run : Efi::Status
    say(Built.title)
    say("\r\n")
    own = loaded_image(@handle)
    device = own.value.device
    given = own.value.options
    # By hand, from the firmware's shell, it is started with other words.
    known = own.value.options_size >= 4_u32 && (given.value == A || given.value == B)
    name = uninitialized UInt16[64]
    text = pointerof(name).as(UInt16*)
    path(known ? given.value : A, "\\KERNEL.EFI", text)
    size = 0_u64
    kernel = read(device, text, pointerof(size))
    return failed(text, "cannot be read", NOT_FOUND) if kernel.address == 0_u64
    unless right?(kernel, size)
      why = "is not the kernel of this image: its sha256 differs"
      return failed(text, why, SECURITY_VIOLATION)
    end
    shell = key != 0_u16 && rescue?
    tried = known && own.value.options_size >= 14_u32 && (given + 1_i64).value == SPACE
    line = command_line(device, shell, tried ? given + 2_i64 : Pointer(UInt16).new(0_u64))
    return failed(text, "has no memory for its command line", LOAD_ERROR) if line.address == 0_u64
    status = start(device, kernel, size, line)
    failed(text, "ended, or is refused by the firmware", status)
  end

  # Whether the bytes have the hash that was built in.
  def right?(kernel : UInt8*, size : UInt64) : Bool
    state = uninitialized UInt32[8]
    numbers = pointerof(state).as(UInt32*)
    Sha256.of(kernel, size, numbers)
    wanted = Built.kernel
    digit = pointerof(wanted.@c)
    i = 0_u32
    while i < 64_u32
      number = (numbers + i.unsafe_shr(3_u32).to_i64!).value
      half = number.unsafe_shr(28_u32 &- 4_u32 &* (i & 7_u32)) & 15_u32
      shown = half < 10_u32 ? half &+ 48_u32 : half &+ 87_u32 # "0", "a" - 10
      return false if shown != (digit + i.to_i64!).value.to_u32!
      i = i &+ 1_u32
    end
    true
  end

  # Ask what to start; without an answer, start as usual.
  def rescue? : Bool
    say("r: the rescue shell of the initramfs    any other key, or 10 seconds: start\r\n")
    i = 0
    while i < SECONDS &* 20
      char = key
      return char == 114_u16 || char == 82_u16 if char != 0_u16
      @boot.value.stall.call(50_000_u64)
      i = i &+ 1
    end
    false
  end

  # Words of the kernel for a shell of the initramfs, which needs nothing but busybox. All that
  # follows the dashes is for the shell.
  def rescue : String
    "rdinit=/bin/sh -- -c \"mount -t proc proc /proc; mount -t sysfs sysfs /sys; " \
    "mount -t devtmpfs dev /dev; exec init\""
  end

  # The same, in two parts, for a system that nobody knows yet: if the file /run/kept is not there after
  # so many seconds, the machine starts again, with what it had before.
  def watched : String
    "rdinit=/bin/sh -- -c \"(sleep "
  end

  def until_kept : String
    "; [ -e /run/kept ] || { echo bq2: nobody kept this system; reboot -f; }) & " \
    "exec /init\""
  end

  # The key that was pressed; 0 if there is none.
  def key : UInt16
    input = @system.value.input
    key = uninitialized Efi::Key
    return 0_u16 if input.value.read_key.call(input, pointerof(key)) != SUCCESS
    key.char == 0_u16 ? 1_u16 : key.char
  end

  # The words for the kernel, ended by a zero; a null pointer if there is no memory.
  # shell: whether the rescue shell is wanted. seconds: four digits, for a kernel that is tried, or a null
  # pointer.
  def command_line(device : Efi::Handle, shell : Bool, seconds : UInt16*) : UInt16*
    line = memory(2_u64 &* (LONGEST &+ 512_u64)).as(UInt16*)
    return line if line.address == 0_u64
    at = wide(Built.words, line)
    at = from(device, at, line.address &+ LONGEST)
    if shell
      wide(self.rescue, at)
    elsif seconds.address != 0_u64
      at = wide(watched, at)
      i = 0
      while i < 4
        digit = seconds.value
        at.value = digit >= 48_u16 && digit <= 57_u16 ? digit : 48_u16
        at = at + 1_i64
        seconds = seconds + 1_i64
        i = i &+ 1
      end
      wide(until_kept, at)
    end
    line
  end

  # Write the word that says which disk and partition this was read from, as the firmware names them,
  # and a space; return the place after it. `limit` is the address where it must end.
  def from(device : Efi::Handle, at : UInt16*, limit : UInt64) : UInt16*
    path = device_path(device)
    return at if path.address == 0_u64
    at = wide("bq2.from=", at)
    while path.value != 0_u16 && at.address < limit
      # A space would end the word.
      at.value = path.value > 32_u16 && path.value < 127_u16 ? path.value : 95_u16
      at = at + 1_i64
      path = path + 1_i64
    end
    wide(" ", at)
  end

  # The path of the device as the firmware writes it; a null pointer if it cannot.
  def device_path(device : Efi::Handle) : UInt16*
    path = protocol(device, 0x09576e91_u32, 0x6d3f_u16, 0x3b7269c9a000398e_u64)
    guid = uninitialized Efi::Guid
    guid.a, guid.b, guid.c, guid.d = 0x8b843e20_u32, 0x8132_u16, 0x4852_u16, 0x1c7f4a4e1a55cc90_u64
    found = Pointer(Void).new(0_u64)
    @boot.value.locate_protocol.call(pointerof(guid), Pointer(Void).new(0_u64), pointerof(found))
    return Pointer(UInt16).new(0_u64) if path.address == 0_u64 || found.address == 0_u64
    found.as(Efi::PathToText*).value.path.call(path, 0_u8, 0_u8)
  end
end

fun efi_main(handle : Efi::Handle, system : Efi::SystemTable*) : Efi::Status
  Program.new(handle, system).run
end
