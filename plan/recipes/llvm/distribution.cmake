# What of LLVM is built and installed: the target "distribution".

# The machines that it emits code for.
set(TARGETS AArch64 X86)
if("$ENV{TARGETS}" STREQUAL "own")
  set(TARGETS X86)
  if("$ENV{ARCH}" STREQUAL "aarch64")
    set(TARGETS AArch64)
  endif()
endif()
set(LLVM_TARGETS_TO_BUILD ${TARGETS} CACHE STRING "")

set(LLVM_DISTRIBUTION_COMPONENTS
  # The compiler and the linker.
  clang clang-resource-headers lld
  # The library, for them, for the tools and for Crystal.
  LLVM llvm-headers llvm-config
  # What takes the place of GNU's binutils.
  llvm-addr2line llvm-ar llvm-cxxfilt llvm-nm llvm-objcopy llvm-objdump llvm-ranlib llvm-readelf
  llvm-readobj llvm-size llvm-strings llvm-strip llvm-symbolizer
  CACHE STRING "")

# What libLLVM holds: all that is named where the above is linked, and what that needs. The rest
# (compiling at run time, debuggers' formats, machine simulation) is a tenth of LLVM.
set(LLVM_DYLIB_COMPONENTS
  ${TARGETS} AggressiveInstCombine AllTargetsAsmParsers AllTargetsDescs AllTargetsDisassemblers
  AllTargetsInfos Analysis BinaryFormat BitReader BitWriter BitstreamReader CodeGen CodeGenTypes
  Codegen Core Coroutines Coverage DebugInfoBTF DebugInfoCodeView DebugInfoDWARF DebugInfoMSF
  DebugInfoPDB Demangle DlltoolDriver Extensions FrontendDriver FrontendHLSL FrontendOffloading
  FrontendOpenMP HIPStdPar IPO IRPrinter IRReader InstCombine Instrumentation LTO LibDriver Linker
  MC MCDisassembler MCParser ObjCARCOpts ObjCopy Object Option Passes ProfileData ScalarOpts Support
  Symbolize Target TargetParser TextAPI TextAPIBinaryReader TransformUtils Vectorize WindowsDriver
  WindowsManifest support
  CACHE STRING "")
