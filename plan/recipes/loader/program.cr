# What the starter and the loader have in common: they read files of the partition that they were read
# from, start what they have read, and say why they do not.
#
# The partition has two places, A and B, each with a loader and its kernel:
#   \BQ2\A\LOADER.EFI  \BQ2\A\KERNEL.EFI  \BQ2\B\LOADER.EFI  \BQ2\B\KERNEL.EFI
require "./efi"

struct Program
  SUCCESS            =                  0_u64
  LOAD_ERROR         = 0x8000000000000001_u64
  NOT_FOUND          = 0x800000000000000e_u64
  SECURITY_VIOLATION = 0x800000000000001a_u64
  LOADER_DATA        = 2_u32 # a kind of memory
  PAGE               = 4096_u64
  LONGEST            = 4096_u64 # characters of the command line
  SECONDS            = 10       # that the menu waits
  READ               = 1_u64 # the modes of an open file (13.5)
  CHANGE             =  3_u64
  A                  = 65_u16
  B                  = 66_u16
  SPACE              = 32_u16

  @boot : Efi::BootServices*

  def initialize(@handle : Efi::Handle, @system : Efi::SystemTable*)
    @boot = @system.value.boot
  end

  # The open file of this path on `device`; a null pointer if there is none.
  def opened(device : Efi::Handle, path : UInt16*, mode : UInt64) : Efi::File*
    none = Pointer(Efi::File).new(0_u64)
    found = protocol(device, 0x964e5b22_u32, 0x6459_u16, 0x3b7269c9a000398e_u64)
    return none if found.address == 0_u64
    system = found.as(Efi::FileSystem*)
    root = uninitialized Efi::File*
    file = uninitialized Efi::File*
    return none if system.value.open_volume.call(system, pointerof(root)) != SUCCESS
    status = root.value.open.call(root, pointerof(file), path, mode, 0_u64)
    root.value.close.call(root)
    status == SUCCESS ? file : none
  end

  # The bytes of a file, and how many; a null pointer if it cannot be read.
  def read(device : Efi::Handle, path : UInt16*, size : UInt64*) : UInt8*
    none = Pointer(UInt8).new(0_u64)
    file = opened(device, path, READ)
    return none if file.address == 0_u64
    # The position after the last byte is the size (13.5).
    file.value.set_position.call(file, 0xffffffffffffffff_u64)
    file.value.position.call(file, size)
    file.value.set_position.call(file, 0_u64)
    data = memory(size.value)
    return none if data.address == 0_u64 || file.value.read.call(file, size, data) != SUCCESS
    file.value.close.call(file)
    data
  end

  # Write the path of a file of `place`, and a zero, to `at`.
  def path(place : UInt16, name : String, at : UInt16*)
    letter = wide("\\BQ2\\", at)
    letter.value = place
    wide(name, letter + 1_i64)
  end

  # Start the program of these bytes with `words`, which end with a zero; return only if that fails.
  def start(device : Efi::Handle, data : UInt8*, size : UInt64, words : UInt16*) : Efi::Status
    handle = uninitialized Efi::Handle
    nowhere = Pointer(Void).new(0_u64) # the path of what is in memory already
    status = @boot.value.load_image.call(0_u8, @handle, nowhere, data, size, pointerof(handle))
    return status if status != SUCCESS
    length = 0_u32
    while (words + length.to_i64!).value != 0_u16
      length = length &+ 1_u32
    end
    image = loaded_image(handle)
    image.value.device = device
    image.value.options = words
    image.value.options_size = 2_u32 &* (length &+ 1_u32)
    nothing = Pointer(UInt64).new(0_u64)
    @boot.value.start_image.call(handle, nothing, nothing.as(UInt16**))
    LOAD_ERROR
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

  # Say why the file is not started, give a person time to read it, and return `status`.
  def failed(path : UInt16*, why : String, status : Efi::Status) : Efi::Status
    output = @system.value.output
    say("bq2: ")
    output.value.write.call(output, path)
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

# The compiler calls it for large frames on the stack, to touch each page; here all are mapped.
fun __chkstk
end
