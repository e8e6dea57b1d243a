# The parts of UEFI that the programs call (UEFI specification 2.10). What they do not use is only
# counted, so that the rest has its place.

lib Efi
  alias Status = UInt64
  alias Handle = Void*

  struct Guid
    a : UInt32
    b : UInt16
    c : UInt16
    d : UInt64 # eight bytes, the first is the lowest
  end

  struct Key # 12.3.3
    scan : UInt16
    char : UInt16
  end

  struct Input # 12.3
    reset : Void*
    read_key : (Input*, Key*) -> Status
  end

  struct Output # 12.4
    reset : Void*
    write : (Output*, UInt16*) -> Status
  end

  struct BootServices # 4.4
    header : UInt8[24]
    priorities : Void*[2]
    allocate_pages : (UInt32, UInt32, UInt64, UInt64*) -> Status
    free_pages : (UInt64, UInt64) -> Status
    memory : Void*[3]
    events : Void*[6]
    install : Void*[3]
    handle_protocol : (Handle, Guid*, Void**) -> Status
    protocols : Void*[5]
    load_image : (UInt8, Handle, Void*, UInt8*, UInt64, Handle*) -> Status
    start_image : (Handle, UInt64*, UInt16**) -> Status
    exit : Void*[4]
    stall : (UInt64) -> Status
    more : Void*[8]
    locate_protocol : (Guid*, Void*, Void**) -> Status
  end

  struct SystemTable # 4.3
    header : UInt8[24]
    vendor : Void*
    revision : UInt32
    input_handle : Void*
    input : Input*
    output_handle : Void*
    output : Output*
    error_handle : Void*
    error : Output*
    runtime : Void*
    boot : BootServices*
  end

  struct LoadedImage # 9.1
    revision : UInt32
    parent : Handle
    system : SystemTable*
    device : Handle
    path : Void*
    reserved : Void*
    options_size : UInt32
    options : UInt16*
  end

  struct FileSystem # 13.4
    revision : UInt64
    open_volume : (FileSystem*, File**) -> Status
  end

  struct File # 13.5
    revision : UInt64
    open : (File*, File**, UInt16*, UInt64, UInt64) -> Status
    close : (File*) -> Status
    delete : Void*
    read : (File*, UInt64*, UInt8*) -> Status
    write : (File*, UInt64*, UInt8*) -> Status
    position : (File*, UInt64*) -> Status
    set_position : (File*, UInt64) -> Status
    info : Void*[2]
    flush : (File*) -> Status
  end

  struct PathToText # 10.6.2
    node : Void*
    path : (Void*, UInt8, UInt8) -> UInt16*
  end
end
