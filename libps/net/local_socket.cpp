#include "libps/net/local_socket.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace ringps {
namespace {

struct Address {
  explicit Address(const std::string& name) {
    static_assert(sizeof unix.sun_path == local_name_bytes_max + 1);
    unix.sun_family = AF_UNIX;
    const std::size_t copied = name.copy(unix.sun_path + 1, local_name_bytes_max);
    length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + copied);
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&unix); }

  sockaddr_un unix{};
  socklen_t length;
};

FileDescriptor new_socket(int type) {
  return FileDescriptor(socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

bool is_of_this_user(const FileDescriptor& socket) {
  ucred peer{};
  socklen_t length = sizeof peer;
  return getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == geteuid();
}

}  // namespace

FileDescriptor connect_locally(const std::string& name, int type) {
  FileDescriptor socket = new_socket(type);
  const Address address(name);
  const bool connected = socket && connect(socket.get(), address.get(), address.length) == 0 && is_of_this_user(socket);
  return connected ? std::move(socket) : FileDescriptor();
}

Result<FileDescriptor> listen_locally(const std::string& name) {
  FileDescriptor socket = new_socket(SOCK_SEQPACKET);
  const Address address(name);
  if (!socket || bind(socket.get(), address.get(), address.length) != 0 || listen(socket.get(), SOMAXCONN) != 0) {
    return Error{"cannot listen at the abstract socket '" + name + "': " + std::strerror(errno)};
  }
  return socket;
}

FileDescriptor accept_locally(const FileDescriptor& listener) {
  for (;;) {
    FileDescriptor socket(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket || is_of_this_user(socket)) {
      return socket;
    }
  }
}

}  // namespace ringps
