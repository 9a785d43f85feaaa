// UNIX sockets in Linux' abstract namespace, which leaves no file: between processes of one user in one network
// namespace.
#pragma once

#include <string>

#include "libps/base/file_descriptor.hpp"
#include "libps/base/result.hpp"

namespace ringps {

/// To whoever of this user listens at `name`; nothing if nobody does. `type`: SOCK_STREAM or SOCK_SEQPACKET. Does not
/// block.
FileDescriptor connect_locally(const std::string& name, int type);

/// Listens for packets. Does not block.
Result<FileDescriptor> listen_locally(const std::string& name);

/// The next one of this user who has come; nothing if nobody has.
FileDescriptor accept_locally(const FileDescriptor& listener);

/// Longer names are cut off.
inline constexpr std::size_t local_name_bytes_max = 107;

}  // namespace ringps
