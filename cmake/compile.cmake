find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

# One place for the flags on which bit-identity rests: no contraction into fused multiply-adds by the compiler's choice,
# no fast-math, one instruction-set baseline.
add_library(ringps_flags INTERFACE)
target_compile_options(ringps_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -ffp-contract=off
  $<$<BOOL:${RINGPS_WERROR}>:-Werror> $<$<BOOL:${RINGPS_ISA}>:-march=${RINGPS_ISA}>)
# GCC 12 takes strings in aggregates that a constructor's exception would leave half-built for uninitialized ones.
target_compile_options(ringps_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
# Where sources are compiled together (CMAKE_UNITY_BUILD), GCC takes each for a header, which would name no local types.
target_compile_options(ringps_flags INTERFACE
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<BOOL:${CMAKE_UNITY_BUILD}>>:-Wno-subobject-linkage>)
target_include_directories(ringps_flags INTERFACE ${PROJECT_SOURCE_DIR})

if(RINGPS_SANITIZE)
  target_compile_options(ringps_flags INTERFACE
    -fsanitize=${RINGPS_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(ringps_flags INTERFACE -fsanitize=${RINGPS_SANITIZE})
endif()

# ringps_library(folder [folders or libraries it may include …]): all sources of libps/<folder> as the target ps_<folder>.
# A folder sees the headers of all, but links only with what is named: together with the layering test this keeps the
# folder order a dependency order. cmake/install.cmake merges the folders into the one library that is installed.
function(ringps_library folder)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/libps/${folder}/*.cpp)
  if(sources)
    add_library(ps_${folder} STATIC ${sources})
    target_link_libraries(ps_${folder} PUBLIC ringps_flags ${ARGN})
    set_property(GLOBAL APPEND PROPERTY RINGPS_COMPILED_FOLDERS ps_${folder})
  else()
    add_library(ps_${folder} INTERFACE)
    target_link_libraries(ps_${folder} INTERFACE ringps_flags ${ARGN})
  endif()
endfunction()
