# A text file as a C string: cmake -DINPUT=x.json -DOUTPUT=x.c -DNAME=symbol -P embed.cmake
file(READ "${INPUT}" hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "    \\1\n" bytes "${bytes}")
get_filename_component(file "${INPUT}" NAME)
file(WRITE "${OUTPUT}" "/* ${file}, as it is: edit that. */\nextern const char ${NAME}[];\nconst char ${NAME}[] = {\n${bytes}\n    0x00\n};\n")
