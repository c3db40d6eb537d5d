# For developers, without pip: `cmake --workflow --preset sanitize` builds, installs an importable package under the build directory, and
# runs the tests on it, in the Python environment that is active.

set(EOSFAST_TESTS "" CACHE STRING "Which tests to run, as pytest's -m (empty: all)")

install(DIRECTORY python/eosfast DESTINATION . PATTERN __pycache__ EXCLUDE PATTERN "*.so" EXCLUDE)  # modules of other builds lie there
enable_testing()
add_test(NAME install COMMAND "${CMAKE_COMMAND}" --install "${PROJECT_BINARY_DIR}" --prefix "${PROJECT_BINARY_DIR}/site")
set_tests_properties(install PROPERTIES FIXTURES_SETUP site)
set(python "${Python_EXECUTABLE}")
set(environment "PYTHONPATH=${PROJECT_BINARY_DIR}/site")

# ------------------------------------------------------------------------------------------------------------- sanitizers

# The runtime of these two must be in the process before anything else: it is preloaded into the interpreter.
set(runtime "")
if("address" IN_LIST EOSFAST_SANITIZE)
  set(runtime asan)
elseif("thread" IN_LIST EOSFAST_SANITIZE)
  set(runtime tsan)
endif()

if(runtime)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set(names "lib${runtime}.so")
  else()  # the second where Clang keeps the runtimes of each target in a folder of their own
    set(names "libclang_rt.${runtime}-${CMAKE_SYSTEM_PROCESSOR}.so" "libclang_rt.${runtime}.so")
  endif()
  foreach(name IN LISTS names)
    execute_process(COMMAND "${CMAKE_CXX_COMPILER}" "-print-file-name=${name}" OUTPUT_VARIABLE path OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(IS_ABSOLUTE "${path}")
      break()
    endif()
  endforeach()
  if(NOT IS_ABSOLUTE "${path}")
    list(JOIN names " or " names)
    message(FATAL_ERROR "${CMAKE_CXX_COMPILER} has no ${names}: install the runtimes of its sanitizers (Debian: libclang-rt-*-dev)")
  endif()

  # Findings go into files, which a test of its own reads: one in a process that a test starts, and maybe expects to fail, is not lost.
  set(reports "${PROJECT_BINARY_DIR}/reports")
  set(options "log_path=${reports}/${runtime}:abort_on_error=1")  # at SIGABRT pytest prints where in Python it was
  list(APPEND environment
      "LD_PRELOAD=${path}"
      "ASAN_OPTIONS=${options}:detect_leaks=0"  # the interpreter leaks by design
      "UBSAN_OPTIONS=${options}:print_stacktrace=1"
      "TSAN_OPTIONS=${options}:ignore_noninstrumented_modules=1:die_after_fork=0")  # the interpreter, NumPy; Dask forks with threads
  if(runtime STREQUAL "tsan")
    # Archer, a part of LLVM's OpenMP runtime, tells what that orders; without it every parallel region looks like a race.
    cmake_path(GET OpenMP_omp_LIBRARY PARENT_PATH openmp_dir)
    find_file(EOSFAST_ARCHER libarcher.so HINTS "${openmp_dir}" REQUIRED)
    list(APPEND environment "OMP_TOOL_LIBRARIES=${EOSFAST_ARCHER}" "OPENBLAS_NUM_THREADS=1")  # so that most forks have one thread
    # Before LLVM 18 TSan wants its addresses free, which no longer holds where the kernel draws more than 28 bits of them.
    file(STRINGS /proc/sys/vm/mmap_rnd_bits random_bits)
    if(random_bits GREATER 28)
      list(PREPEND python setarch -R)
    endif()
  endif()

  add_test(NAME reports_folder COMMAND sh -c "rm -rf '${reports}' && mkdir '${reports}'")
  add_test(NAME instrumented COMMAND ${python} -c "import eosfast; assert '-fsanitize' in eosfast.build_info()['flags']")
  add_test(NAME reports COMMAND sh -c "! grep -r . '${reports}'")
  set_tests_properties(reports_folder instrumented PROPERTIES FIXTURES_SETUP site)
  set_tests_properties(instrumented PROPERTIES DEPENDS "install;reports_folder" ENVIRONMENT "${environment}")
  set_tests_properties(reports PROPERTIES DEPENDS pytest)
endif()

add_test(NAME pytest COMMAND ${python} -m pytest -m "${EOSFAST_TESTS}" WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
set_tests_properties(pytest PROPERTIES FIXTURES_REQUIRED site ENVIRONMENT "${environment}" TIMEOUT 14400)
