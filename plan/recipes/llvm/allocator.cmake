# clang and lld allocate memory with rpmalloc, which LLVM's source contains. They allocate a lot, and
# musl's own allocator, which is made to be small, is slow, above all with several threads. (LLVM's
# option for it, LLVM_ENABLE_RPMALLOC, is refused everywhere but on Windows.)

function(use_rpmalloc)
  add_library(rpmalloc OBJECT ${LLVM_MAIN_SRC_DIR}/lib/Support/rpmalloc/rpmalloc.c)
  # It takes the place of malloc, calloc, free and so on, in the libraries too.
  target_compile_definitions(rpmalloc PRIVATE ENABLE_OVERRIDE=1 ENABLE_PRELOAD=1)
  foreach(program clang lld)
    target_sources(${program} PRIVATE $<TARGET_OBJECTS:rpmalloc>)
  endforeach()
endfunction()

cmake_language(DEFER CALL use_rpmalloc)
