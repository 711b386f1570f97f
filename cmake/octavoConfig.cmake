# octavoConfig.cmake - find_package(octavo) gives the command as octavo::octavo, and the function octavo_add_model.
include("${CMAKE_CURRENT_LIST_DIR}/octavoTargets.cmake")

# octavo_add_model(NAME MODEL FILE [DATA FILE] [TARGET T] [WEIGHTS inline|incbin] [OPTIONS ...])
#   A static library NAME of the network in MODEL (.8vo or .onnx), built by the project's own compiler, so a toolchain file is all that
#   another machine needs; who links it includes "NAME.h". It is made again when anything changes that it was made of.
#   DATA     calibration data (.npy); without them, a model that is not quantized stays in float
#   TARGET   a line of `octavo targets`; host, or c99 when cross-compiling
#   WEIGHTS  inline: C arrays. incbin: the assembler includes them, for large networks; the project enables ASM
#   OPTIONS  further ones of `octavo compile`
function(octavo_add_model name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "MODEL;DATA;TARGET;WEIGHTS" "OPTIONS")
  if(NOT arg_MODEL OR arg_UNPARSED_ARGUMENTS OR arg_KEYWORDS_MISSING_VALUES)
    message(FATAL_ERROR "octavo_add_model(NAME MODEL FILE [DATA FILE] [TARGET T] [WEIGHTS inline|incbin] [OPTIONS ...])")
  endif()
  if(NOT arg_WEIGHTS)
    set(arg_WEIGHTS inline)
  elseif(NOT arg_WEIGHTS MATCHES "^(inline|incbin)$")
    message(FATAL_ERROR "octavo_add_model: WEIGHTS is inline or incbin, not ${arg_WEIGHTS}")
  endif()
  if(NOT arg_TARGET)
    set(arg_TARGET host)
    if(CMAKE_CROSSCOMPILING)
      set(arg_TARGET c99)
    endif()
  endif()
  cmake_path(ABSOLUTE_PATH arg_MODEL NORMALIZE)
  if(NOT EXISTS ${arg_MODEL})
    message(FATAL_ERROR "octavo_add_model: there is no model ${arg_MODEL}")
  endif()
  if(arg_DATA)
    cmake_path(ABSOLUTE_PATH arg_DATA NORMALIZE)
    list(APPEND arg_OPTIONS --data ${arg_DATA})
  endif()

  set(folder ${CMAKE_CURRENT_BINARY_DIR}/${name}.octavo)
  set(sources ${folder}/${name}.c)
  if(arg_WEIGHTS STREQUAL incbin)
    list(APPEND sources ${folder}/${name}.weights.S)
    set_source_files_properties(${folder}/${name}.weights.S PROPERTIES COMPILE_OPTIONS -Wa,-I,${folder})
  endif()
  add_custom_command(OUTPUT ${sources} ${folder}/${name}.h ${folder}/${name}.json
    COMMAND octavo::octavo compile ${arg_MODEL} --target ${arg_TARGET} --weights ${arg_WEIGHTS} ${arg_OPTIONS} -o ${folder}/${name}
      --depfile ${folder}/${name}.d
    DEPENDS ${arg_MODEL} ${arg_DATA} octavo::octavo DEPFILE ${folder}/${name}.d COMMENT "octavo: ${name}" VERBATIM)
  add_library(${name} STATIC ${sources} ${folder}/${name}.h)
  target_include_directories(${name} PUBLIC ${folder})
endfunction()
