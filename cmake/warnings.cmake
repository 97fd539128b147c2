# One interface target carries the language, the warnings and the hardening of every target of the project.
add_library(tidegate_options INTERFACE)
target_compile_definitions(tidegate_options INTERFACE _GNU_SOURCE TIDEGATE_VERSION="${PROJECT_VERSION}")
target_include_directories(tidegate_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(tidegate_options INTERFACE
	-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wcast-qual -Wwrite-strings -Wformat=2 -Wundef
	-Wvla -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith -Wredundant-decls
	-Wnull-dereference -Wdouble-promotion -Wswitch-enum
	$<$<C_COMPILER_ID:GNU>:-Wduplicated-cond -Wduplicated-branches -Wlogical-op -Wformat-signedness>
	$<$<C_COMPILER_ID:Clang>:-Wmissing-variable-declarations -Wshorten-64-to-32>
	-include ${CMAKE_SOURCE_DIR}/src/base/poison.h
	-fno-omit-frame-pointer
	-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)

function(tidegate_strict target)
	target_link_libraries(${target} PRIVATE tidegate_options)
endfunction()
