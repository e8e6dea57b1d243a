# CMake's own place for local changes, read when all its targets are known.

# CTest and CPack, a third of the work: nothing here is tested or packed with them.
set_target_properties(ctest CTestLib cpack CPackLib PROPERTIES EXCLUDE_FROM_ALL ON)
list(REMOVE_ITEM _tools ctest cpack)

# What nearly every file includes is read once: that saves another quarter.
set(headers cmGeneratedFileStream.h cmGeneratorExpression.h cmGeneratorTarget.h cmGlobalGenerator.h
  cmLocalGenerator.h cmMakefile.h cmSystemTools.h cmake.h)
list(TRANSFORM headers PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/")
target_precompile_headers(CMakeLib PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:<sstream$<ANGLE-R>;${headers}>")
