// Payloads between two processes of one host and user that lie in shared memory: one side says where, the other reads
// them there. Beside a connection of ZeroMQ's, which carries the messages.
//
// The two sides meet at a UNIX socket and hand each other two files in memory: one with their values, to be read, and a
// board, to be written. What is lent has a slot of the lender's board, and stays as it is until the borrower has wiped
// the slot, or has gone: the system closes the socket, whatever way a process ends. So neither a borrower nor a lender
// that is killed, whose memory stays mapped, changes what anybody reads; and nothing is left over, since nothing of
// this has a name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "libps/base/file_descriptor.hpp"
#include "libps/base/result.hpp"
#include "libps/wire/payload.hpp"

namespace ringps {

/// Where a payload lies: the frame that stands for it in a message. In the byte order of the host, which both are on.
struct LentPlace {
  std::uint64_t offset;  ///< in the lender's arena
  std::uint32_t bytes;
  std::uint32_t slot;  ///< of the lender's board
};

struct LentMemory;
struct BorrowedMemory;

/// One side. One thread uses it; payloads may be let go of on any thread, and after it has gone.
class MemoryLink {
 public:
  /// To whoever of this user listens at `name`; they learn that `token` is the name of who speaks. Nothing if nobody
  /// listens, or this process shares no memory.
  static std::optional<MemoryLink> connect(const std::string& name, const std::string& token);

  MemoryLink(MemoryLink&& other) noexcept;
  MemoryLink& operator=(MemoryLink&&) = delete;
  /// What is lent stays lent.
  ~MemoryLink();

  /// Keeps a payload and says where the other side finds it. Nothing where it has to be sent: a small one, one that
  /// lies elsewhere, or when the other side has not answered yet, has gone, or has not read a great many.
  std::optional<LentPlace> lend(const Payload& payload);
  /// Of what has just been lent and could not be told.
  void take_back(const LentPlace& place);
  /// Lets go of what has been read.
  void collect();
  /// False when the other side has gone, and with it all that it was lent. Takes a system call.
  bool is_there();
  /// Whether is_there() has been false.
  bool has_gone() const;

  /// What lies at a place that the other side has told. The other side keeps it until the last copy has gone.
  Result<Payload> borrow(std::span<const std::byte> place);

 private:
  friend class MemoryListener;

  explicit MemoryLink(std::unique_ptr<LentMemory> lent);
  bool hear();

  std::unique_ptr<LentMemory> lent_;
  std::shared_ptr<BorrowedMemory> borrowed_;  ///< null: the other side has not said yet where its memory is
};

/// Where others of this host and user come to make a link.
class MemoryListener {
 public:
  /// `name`: in the abstract namespace of UNIX sockets, which leaves no file.
  static Result<MemoryListener> listen(const std::string& name);

  /// Those who have come since the last call, with their tokens. Never blocks.
  std::vector<std::pair<std::string, MemoryLink>> accept();

 private:
  explicit MemoryListener(FileDescriptor socket) : socket_(std::move(socket)) {}

  FileDescriptor socket_;
  std::vector<FileDescriptor> silent_;  ///< have come, and not yet said who they are
};

}  // namespace ringps
