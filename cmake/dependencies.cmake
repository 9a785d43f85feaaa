# All from Debian 12; scripts/install-dependencies names the packages.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(cppzmq REQUIRED)
find_package(Eigen3 REQUIRED NO_MODULE)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(ZLIB REQUIRED)
find_package(SQLite3 REQUIRED)
pkg_check_modules(LZ4 REQUIRED IMPORTED_TARGET liblz4)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)

# find_package(msgpack) finds the C library; the C++ one is header-only.
add_library(msgpack_cxx INTERFACE)
target_compile_definitions(msgpack_cxx INTERFACE MSGPACK_NO_BOOST MSGPACK_DEFAULT_API_VERSION=3)
