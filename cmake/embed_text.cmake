# Makes one C++ source that holds the text of a file.
#   cmake -D OUTPUT=FILE -D FILE=TEXT -D HEADER=HEADER -D FUNCTION=NAME -P embed_text.cmake
# HEADER declares `std::string_view pawl::NAME()`.
file(READ "${FILE}" text)
file(WRITE "${OUTPUT}" "#include \"${HEADER}\"

namespace pawl {

std::string_view ${FUNCTION}() {
  return R\"__text__(${text})__text__\";
}

}  // namespace pawl
")
