# The program that the firmware starts. It shows what it will start, checks the kernel's sha256, and
# starts it with a command line that says which disk it was read from. A key that is pressed while
# the firmware starts leads to a menu with the rescue shell; nobody waits for a key otherwise.
#
# It is \EFI\BOOT\BOOTX64.EFI (BOOTAA64.EFI) on the ESP, and the kernel is beside it. The recipe writes
# built.cr: the title, the kernel's hash, and the words for the kernel's command line.
require "./efi"
require "./sha256"
require "./built"

struct Loader
  SUCCESS            =                  0_u64
  LOAD_ERROR         = 0x8000000000000001_u64
  NOT_FOUND          = 0x800000000000000e_u64
  SECURITY_VIOLATION = 0x800000000000001a_u64
  LOADER_DATA        = 2_u32 # a kind of memory
  PAGE               = 4096_u64
  LONGEST            = 4096_u64 # characters of the command line
  SECONDS            = 10       # that the menu waits

  @boot : Efi::BootServices*

  def initialize(@handle : Efi::Handle, @system : Efi::SystemTable*)
    @boot = @system.value.boot
  end

  def run : Efi::Status
    say(Built.title)
    say("\r\n")
    device = loaded_image(@handle).value.device
    size = 0_u64
    kernel = read_kernel(device, pointerof(size))
    return failed("cannot be read", NOT_FOUND) if kernel.address == 0_u64
    unless right?(kernel, size)
      return failed("is not the kernel of this image: its sha256 differs", SECURITY_VIOLATION)
    end
    start(device, kernel, size, key != 0_u16 && rescue?)
  end

  # The kernel's bytes, and how many; a null pointer if it cannot be read.
  def read_kernel(device : Efi::Handle, size : UInt64*) : UInt8*
    none = Pointer(UInt8).new(0_u64)
    found = protocol(device, 0x964e5b22_u32, 0x6459_u16, 0x3b7269c9a000398e_u64)
    return none if found.address == 0_u64
    system = found.as(Efi::FileSystem*)
    root = uninitialized Efi::File*
    file = uninitialized Efi::File*
    name = uninitialized UInt16[64]
    text = pointerof(name).as(UInt16*)
    wide(path, text)
    return none if system.value.open_volume.call(system, pointerof(root)) != SUCCESS
    return none if root.value.open.call(root, pointerof(file), text, 1_u64, 0_u64) != SUCCESS
    # The position after the last byte is the size (13.5).
    file.value.set_position.call(file, 0xffffffffffffffff_u64)
    file.value.position.call(file, size)
    file.value.set_position.call(file, 0_u64)
    kernel = memory(size.value)
    return none if kernel.address == 0_u64 || file.value.read.call(file, size, kernel) != SUCCESS
    file.value.close.call(file)
    kernel
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

  def path : String
    "\\EFI\\BOOT\\KERNEL.EFI"
  end

  # Words of the kernel for a shell of the initramfs, which needs nothing but busybox. All that
  # follows the dashes is for the shell.
  def rescue : String
    "rdinit=/bin/sh -- -c \"mount -t proc proc /proc; mount -t sysfs sysfs /sys; " \
    "mount -t devtmpfs dev /dev; exec init\""
  end

  # The key that was pressed; 0 if there is none.
  def key : UInt16
    input = @system.value.input
    key = uninitialized Efi::Key
    return 0_u16 if input.value.read_key.call(input, pointerof(key)) != SUCCESS
    key.char == 0_u16 ? 1_u16 : key.char
  end

  # Start the kernel; this returns only if that fails.
  def start(device : Efi::Handle, kernel : UInt8*, size : UInt64, rescue : Bool) : Efi::Status
    handle = uninitialized Efi::Handle
    nowhere = Pointer(Void).new(0_u64) # the path of what is in memory already
    status = @boot.value.load_image.call(0_u8, @handle, nowhere, kernel, size, pointerof(handle))
    return failed("is refused by the firmware", status) if status != SUCCESS
    line = command_line(device, rescue)
    return failed("has no memory for its command line", LOAD_ERROR) if line.address == 0_u64
    length = 0_u32
    while (line + length.to_i64!).value != 0_u16
      length = length &+ 1_u32
    end
    image = loaded_image(handle)
    image.value.device = device
    image.value.options = line
    image.value.options_size = 2_u32 &* (length &+ 1_u32)
    nothing = Pointer(UInt64).new(0_u64)
    failed("ended", @boot.value.start_image.call(handle, nothing, nothing.as(UInt16**)))
  end

  # The words for the kernel, ended by a zero; a null pointer if there is no memory.
  def command_line(device : Efi::Handle, rescue : Bool) : UInt16*
    line = memory(2_u64 &* LONGEST).as(UInt16*)
    return line if line.address == 0_u64
    at = wide(Built.words, line)
    at = from(device, at, line.address &+ LONGEST)
    wide(self.rescue, at) if rescue
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

  def loaded_image(handle : Efi::Handle) : Efi::LoadedImage*
    protocol(handle, 0x5b1b31a1_u32, 0x9562_u16, 0x3b7269c9a0003f8e_u64).as(Efi::LoadedImage*)
  end

  # The protocol of `handle` with the GUID of these numbers, of which the third is always the same; a
  # null pointer if it has none.
  def protocol(handle : Efi::Handle, a : UInt32, b : UInt16, d : UInt64) : Void*
    guid = uninitialized Efi::Guid
    guid.a, guid.b, guid.c, guid.d = a, b, 0x11d2_u16, d
    found = Pointer(Void).new(0_u64)
    @boot.value.handle_protocol.call(handle, pointerof(guid), pointerof(found))
    found
  end

  # Memory for at least `size` bytes; a null pointer if there is none.
  def memory(size : UInt64) : UInt8*
    at = 0_u64
    pages = (size &+ PAGE &- 1_u64).unsafe_shr(12_u64)
    status = @boot.value.allocate_pages.call(0_u32, LOADER_DATA, pages, pointerof(at))
    Pointer(UInt8).new(status == SUCCESS ? at : 0_u64)
  end

  # Say why the kernel is not started, give a person time to read it, and let the firmware go on.
  def failed(why : String, status : Efi::Status) : Efi::Status
    say("bq2: ")
    say(path)
    say(" ")
    say(why)
    say("; it is not started\r\n")
    @boot.value.stall.call(5_000_000_u64)
    status
  end

  def say(text : String)
    buffer = uninitialized UInt16[200]
    wide(text, pointerof(buffer).as(UInt16*))
    output = @system.value.output
    output.value.write.call(output, pointerof(buffer).as(UInt16*))
  end

  # Write `text`, which is ASCII, as UTF-16 and a zero to `at`; return the place of the zero.
  def wide(text : String, at : UInt16*) : UInt16*
    byte = pointerof(text.@c)
    while byte.value != 0_u8
      at.value = byte.value.to_u16!
      at = at + 1_i64
      byte = byte + 1_i64
    end
    at.value = 0_u16
    at
  end
end

fun efi_main(handle : Efi::Handle, system : Efi::SystemTable*) : Efi::Status
  Loader.new(handle, system).run
end

# The compiler calls it for large frames on the stack, to touch each page; here all are mapped.
fun __chkstk
end
