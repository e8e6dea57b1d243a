# A kernel for tests/test_loader.py: prints the words that it is handed, and switches off.
require "./efi"

lib Efi
  struct RuntimeServices # 4.5
    header : UInt8[24]
    others : Void*[10]
    reset : (UInt32, Status, UInt64, Void*) -> Void
  end
end

def say(output : Efi::Output*, text : String)
  byte = pointerof(text.@c)
  pair = uninitialized UInt16[2]
  one = pointerof(pair).as(UInt16*)
  (one + 1_i64).value = 0_u16
  while byte.value != 0_u8
    one.value = byte.value.to_u16!
    output.value.write.call(output, one)
    byte = byte + 1_i64
  end
end

fun efi_main(handle : Efi::Handle, system : Efi::SystemTable*) : Efi::Status
  guid = uninitialized Efi::Guid
  guid.a, guid.b, guid.c, guid.d = 0x5b1b31a1_u32, 0x9562_u16, 0x11d2_u16, 0x3b7269c9a0003f8e_u64
  found = Pointer(Void).new(0_u64)
  system.value.boot.value.handle_protocol.call(handle, pointerof(guid), pointerof(found))
  image = found.as(Efi::LoadedImage*)
  output = system.value.output
  say(output, "KERNEL <")
  output.value.write.call(output, image.value.options) if image.value.options_size != 0_u32
  say(output, ">\r\n")
  runtime = system.value.runtime.as(Efi::RuntimeServices*)
  runtime.value.reset.call(2_u32, 0_u64, 0_u64, Pointer(Void).new(0_u64)) # 2: off
  0_u64
end

fun __chkstk
end
