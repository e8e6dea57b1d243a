# Precompiled headers for LLVM, which has no option for them: most of its compile time is spent on
# reading the same headers again. CMake reads this file right after LLVM's project(); when all
# targets are known, each one below one of the directories named gets the header of its group.
#
#     directories ──▶ group ──▶ pch-<group>: an object library that owns the header's precompiled form
#                                 ▲ REUSE_FROM
#                     every library and program below these directories

set(BASE_HEADERS
  <algorithm> <cassert> <cstdint> <functional> <map> <memory> <optional> <set> <string>
  <system_error> <tuple> <utility> <vector>
  llvm/ADT/APInt.h llvm/ADT/ArrayRef.h llvm/ADT/BitVector.h llvm/ADT/DenseMap.h
  llvm/ADT/FoldingSet.h llvm/ADT/IntrusiveRefCntPtr.h llvm/ADT/MapVector.h llvm/ADT/STLExtras.h
  llvm/ADT/SetVector.h llvm/ADT/SmallPtrSet.h llvm/ADT/SmallSet.h llvm/ADT/SmallString.h
  llvm/ADT/SmallVector.h llvm/ADT/Statistic.h llvm/ADT/StringExtras.h llvm/ADT/StringMap.h
  llvm/ADT/StringRef.h llvm/ADT/StringSwitch.h llvm/ADT/Twine.h
  llvm/Support/Allocator.h llvm/Support/Casting.h llvm/Support/CommandLine.h
  llvm/Support/Debug.h llvm/Support/Endian.h llvm/Support/Error.h
  llvm/Support/ErrorHandling.h llvm/Support/Format.h llvm/Support/FormatVariadic.h
  llvm/Support/MathExtras.h llvm/Support/MemoryBuffer.h llvm/Support/Path.h
  llvm/Support/VirtualFileSystem.h llvm/Support/raw_ostream.h)
set(IR_HEADERS
  llvm/InitializePasses.h llvm/Pass.h
  llvm/IR/BasicBlock.h llvm/IR/CFG.h llvm/IR/Constants.h llvm/IR/DataLayout.h
  llvm/IR/DebugInfoMetadata.h llvm/IR/DerivedTypes.h llvm/IR/Dominators.h llvm/IR/Function.h
  llvm/IR/IRBuilder.h llvm/IR/InstrTypes.h llvm/IR/Instructions.h llvm/IR/IntrinsicInst.h
  llvm/IR/Intrinsics.h llvm/IR/LLVMContext.h llvm/IR/Metadata.h llvm/IR/Module.h
  llvm/IR/PassManager.h)
set(ANALYSIS_HEADERS
  llvm/Analysis/AliasAnalysis.h llvm/Analysis/AssumptionCache.h llvm/Analysis/LoopInfo.h
  llvm/Analysis/OptimizationRemarkEmitter.h llvm/Analysis/ScalarEvolution.h
  llvm/Analysis/TargetLibraryInfo.h llvm/Analysis/TargetTransformInfo.h
  llvm/Analysis/ValueTracking.h)
set(CODEGEN_HEADERS
  llvm/CodeGen/MachineFrameInfo.h llvm/CodeGen/MachineFunction.h
  llvm/CodeGen/MachineFunctionPass.h llvm/CodeGen/MachineInstrBuilder.h
  llvm/CodeGen/MachineModuleInfo.h llvm/CodeGen/MachineRegisterInfo.h llvm/CodeGen/Passes.h
  llvm/CodeGen/SelectionDAG.h llvm/CodeGen/TargetInstrInfo.h llvm/CodeGen/TargetLowering.h
  llvm/CodeGen/TargetPassConfig.h llvm/CodeGen/TargetRegisterInfo.h
  llvm/CodeGen/TargetSubtargetInfo.h llvm/MC/MCContext.h llvm/MC/MCStreamer.h
  llvm/Target/TargetMachine.h)
set(CLANG_HEADERS
  clang/Basic/Diagnostic.h clang/Basic/FileManager.h clang/Basic/IdentifierTable.h
  clang/Basic/LangOptions.h clang/Basic/SourceManager.h clang/Basic/TargetInfo.h)
set(DRIVER_HEADERS
  clang/Driver/Compilation.h clang/Driver/Driver.h clang/Driver/InputInfo.h clang/Driver/Options.h
  clang/Driver/ToolChain.h llvm/Option/ArgList.h)
set(AST_HEADERS
  clang/AST/ASTContext.h clang/AST/Attr.h clang/AST/Decl.h clang/AST/DeclCXX.h
  clang/AST/DeclObjC.h clang/AST/DeclTemplate.h clang/AST/Expr.h clang/AST/ExprCXX.h
  clang/AST/ExprObjC.h clang/AST/RecordLayout.h clang/AST/RecursiveASTVisitor.h
  clang/AST/StmtVisitor.h clang/AST/Type.h clang/AST/TypeLoc.h clang/Lex/Preprocessor.h)
set(SEMA_HEADERS
  clang/Sema/Initialization.h clang/Sema/Lookup.h clang/Sema/Overload.h clang/Sema/ScopeInfo.h
  clang/Sema/Sema.h clang/Sema/SemaInternal.h clang/Sema/Template.h)

# The group `name`: its headers, and the targets that generate some of them.
function(group name headers generators)
  set(target pch-${name})
  file(WRITE ${CMAKE_BINARY_DIR}/pch/${name}.cpp "")
  add_library(${target} OBJECT ${CMAKE_BINARY_DIR}/pch/${name}.cpp)
  set_target_properties(${target} PROPERTIES COMPILE_FLAGS "${FLAGS}")
  target_include_directories(${target} PRIVATE
    ${LLVM_MAIN_SRC_DIR}/../clang/include ${LLVM_BINARY_DIR}/tools/clang/include)
  list(TRANSFORM headers REPLACE "^([^<].*)$" "<\\1>") # not relative to this directory
  target_precompile_headers(${target} PRIVATE ${headers})
  # Its bytes do not depend on when the headers were unpacked, so that machines can share it.
  target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  # Its own file reads the header, too; see reuse().
  set(pch ${CMAKE_BINARY_DIR}/CMakeFiles/${target}.dir/cmake_pch.hxx.pch)
  set_source_files_properties(${CMAKE_BINARY_DIR}/pch/${name}.cpp
    PROPERTIES COMPILE_OPTIONS "-Xclang;-fdepfile-entry=${pch}")
  if(generators)
    add_dependencies(${target} ${generators})
  endif()
endfunction()

# Give the targets in `directory` and below the header of the group `name`, unless they have one.
function(reuse name directory)
  get_property(targets DIRECTORY ${directory} PROPERTY BUILDSYSTEM_TARGETS)
  foreach(target ${targets})
    get_target_property(type ${target} TYPE)
    get_target_property(has ${target} PRECOMPILE_HEADERS_REUSE_FROM)
    if(NOT has AND type MATCHES "STATIC_LIBRARY|OBJECT_LIBRARY|EXECUTABLE")
      target_precompile_headers(${target} REUSE_FROM pch-${name})
      # A file's list of what it depends on names the header too, for compilers on other machines.
      set(pch ${CMAKE_BINARY_DIR}/CMakeFiles/pch-${name}.dir/cmake_pch.hxx.pch)
      target_compile_options(${target} PRIVATE
        "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fdepfile-entry=${pch}>")
    endif()
  endforeach()
  get_property(below DIRECTORY ${directory} PROPERTY SUBDIRECTORIES)
  foreach(each ${below})
    reuse(${name} ${each})
  endforeach()
endfunction()

function(precompile_headers)
  set(llvm ${LLVM_MAIN_SRC_DIR})
  set(clang ${llvm}/../clang)
  get_filename_component(clang ${clang} ABSOLUTE)
  get_filename_component(lld ${llvm}/../lld ABSOLUTE)
  # The flags that LLVM adds target by target.
  get_target_property(FLAGS LLVMCore COMPILE_FLAGS)

  group(base "${BASE_HEADERS}" "")
  group(ir "${BASE_HEADERS};${IR_HEADERS};${ANALYSIS_HEADERS}" intrinsics_gen)
  group(codegen "${BASE_HEADERS};${IR_HEADERS};${CODEGEN_HEADERS}" "intrinsics_gen;vt_gen")
  group(clang "${BASE_HEADERS};${CLANG_HEADERS};${DRIVER_HEADERS}" clang-tablegen-targets)
  group(ast "${BASE_HEADERS};${CLANG_HEADERS};${AST_HEADERS}" "clang-tablegen-targets;omp_gen")
  group(sema "${BASE_HEADERS};${CLANG_HEADERS};${AST_HEADERS};${SEMA_HEADERS}"
    "clang-tablegen-targets;omp_gen")
  group(clangcodegen "${BASE_HEADERS};${CLANG_HEADERS};${AST_HEADERS};${IR_HEADERS}"
    "clang-tablegen-targets;omp_gen;intrinsics_gen")

  foreach(name Analysis AsmParser Bitcode ExecutionEngine Frontend FuzzMutate IR IRReader LTO
          Linker Passes SandboxIR Transforms)
    reuse(ir ${llvm}/lib/${name})
  endforeach()
  reuse(codegen ${llvm}/lib/CodeGen)
  foreach(target ${LLVM_TARGETS_TO_BUILD})
    reuse(codegen ${llvm}/lib/Target/${target})
  endforeach()
  foreach(name APINotes Basic Driver Format Lex)
    reuse(clang ${clang}/lib/${name})
  endforeach()
  reuse(base ${clang}/lib/Support) # part of clang's table generator
  reuse(ast ${clang}/lib/AST) # has names of its own that Sema has too
  reuse(clangcodegen ${clang}/lib/CodeGen)
  reuse(sema ${clang}/lib)
  set_source_files_properties(${clang}/lib/Frontend/TextDiagnostic.cpp # names of its own, too
    TARGET_DIRECTORY clangFrontend PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
  # Not Support, which is partly C.
  foreach(directory ${llvm}/lib ${llvm}/lib/TableGen ${llvm}/utils/TableGen ${clang}/utils/TableGen
          ${lld})
    reuse(base ${directory})
  endforeach()
endfunction()

cmake_language(DEFER CALL precompile_headers)
