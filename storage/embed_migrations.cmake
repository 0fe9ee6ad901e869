# Makes one C++ source of the files of migrations/.
#   cmake -D OUTPUT=FILE -D FILES=A.sql,B.sql -P embed_migrations.cmake
string(REPLACE "," ";" files "${FILES}")
set(entries "")
set(expected 1)
foreach(file IN LISTS files)
  get_filename_component(name "${file}" NAME_WE)
  string(REGEX MATCH "^[0-9][0-9][0-9][0-9]" digits "${name}")
  math(EXPR number "1${digits} - 10000")
  if(NOT number EQUAL expected)
    message(FATAL_ERROR "${file}: expected migration number ${expected}")
  endif()
  math(EXPR expected "${expected} + 1")
  file(READ "${file}" sql)
  string(APPEND entries "    {${number}, \"${name}\", R\"__sql__(${sql})__sql__\"},\n")
endforeach()
file(WRITE "${OUTPUT}" "#include \"storage/migrate.h\"

namespace pawl {
namespace {
constexpr Migration kMigrations[] = {
${entries}};
}  // namespace

std::span<const Migration> migrations() { return kMigrations; }

}  // namespace pawl
")
