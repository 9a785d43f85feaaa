#include "libps/net/memory_link.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <mutex>

#include "libps/base/log.hpp"
#include "libps/base/value_memory.hpp"
#include "libps/net/local_socket.hpp"
#include "libps/net/shared_arena.hpp"
#include "libps/wire/limits.hpp"

namespace ringps {
namespace {

/// Payloads that one side may have lent the other; more go through the socket.
constexpr std::size_t slots = 4096;

/// One side's: not 0 while what the slot stands for may be read.
struct Board {
  std::array<std::atomic<std::uint8_t>, slots> lent;
};
static_assert(std::atomic<std::uint8_t>::is_always_lock_free, "two processes share it");

constexpr std::size_t token_bytes_max = 32;

/// The first and only packet of each side; with it go the descriptors of its arena and of its board.
struct Hello {
  std::array<char, 8> magic{'r', 'i', 'n', 'g', 'p', 's', 'm', '1'};
  std::array<char, token_bytes_max> token{};
  std::uint64_t arena_bytes = 0;
};

/// A file's memory.
class Mapping {
 public:
  Mapping() = default;
  Mapping(const FileDescriptor& file, std::size_t bytes, int protection) : bytes_(bytes) {
    void* const memory = mmap(nullptr, bytes, protection, MAP_SHARED | MAP_NORESERVE, file.get(), 0);
    if (memory != MAP_FAILED) {
      madvise(memory, bytes, MADV_DONTDUMP);
      memory_ = memory;
    }
  }
  Mapping(Mapping&& other) noexcept : memory_(std::exchange(other.memory_, nullptr)), bytes_(other.bytes_) {}
  Mapping& operator=(Mapping&&) = delete;
  ~Mapping() {
    if (*this) {
      munmap(memory_, bytes_);
    }
  }

  explicit operator bool() const { return memory_ != nullptr; }
  std::byte* data() const { return static_cast<std::byte*>(memory_); }
  std::size_t bytes() const { return bytes_; }
  Board& board() const { return *static_cast<Board*>(memory_); }

 private:
  void* memory_ = nullptr;  ///< null: it could not be mapped
  std::size_t bytes_ = 0;
};

/// A hello on its way, with two descriptors beside it.
class Packet {
 public:
  explicit Packet(Hello& hello) : part_{&hello, sizeof hello} {
    packet_.msg_iov = &part_;
    packet_.msg_iovlen = 1;
    packet_.msg_control = control_.data();
    packet_.msg_controllen = control_.size();
  }
  Packet(const Packet&) = delete;
  Packet& operator=(const Packet&) = delete;
  msghdr* get() { return &packet_; }

 private:
  iovec part_;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(2 * sizeof(int))> control_{};
  msghdr packet_{};
};

bool say_hello(const FileDescriptor& socket, const std::string& token, const FileDescriptor& board) {
  Hello hello;
  token.copy(hello.token.data(), hello.token.size());
  hello.arena_bytes = arena_of_process()->bytes();
  const std::array<int, 2> files{arena_of_process()->descriptor(), board.get()};
  Packet packet(hello);
  cmsghdr* const rights = CMSG_FIRSTHDR(packet.get());
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof files);
  std::memcpy(CMSG_DATA(rights), files.data(), sizeof files);
  return sendmsg(socket.get(), packet.get(), MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof hello);
}

struct Greeting {
  Hello hello;
  FileDescriptor arena;
  FileDescriptor board;
};

enum class Heard : std::uint8_t { nothing, hello, end };

/// Anything that is no hello is the end as well.
Heard receive_hello(const FileDescriptor& socket, Greeting& greeting) {
  Packet packet(greeting.hello);
  const ssize_t received = recvmsg(socket.get(), packet.get(), MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (received < 0) {
    return errno == EAGAIN || errno == EINTR ? Heard::nothing : Heard::end;
  }
  std::array<FileDescriptor*, 2> into{&greeting.arena, &greeting.board};
  std::size_t files = 0;
  for (cmsghdr* header = CMSG_FIRSTHDR(packet.get()); header != nullptr; header = CMSG_NXTHDR(packet.get(), header)) {
    for (std::size_t at = CMSG_LEN(0); header->cmsg_type == SCM_RIGHTS && at + sizeof(int) <= header->cmsg_len;
         at += sizeof(int)) {
      int file = -1;
      std::memcpy(&file, CMSG_DATA(header) + (at - CMSG_LEN(0)), sizeof file);
      FileDescriptor owned(file);
      if (files < into.size()) {
        *into[files++] = std::move(owned);
      }
    }
  }
  const bool whole = received == static_cast<ssize_t>(sizeof(Hello)) && (packet.get()->msg_flags & MSG_TRUNC) == 0 &&
                     files == into.size() && greeting.hello.magic == Hello{}.magic;
  return whole ? Heard::hello : Heard::end;
}

/// Whether a file in memory has so many bytes and always will: else a read could be the end of this process.
bool stays_long_enough(const FileDescriptor& file, std::size_t bytes) {
  struct stat status {};
  const int seals = fcntl(file.get(), F_GET_SEALS);
  return seals >= 0 && (seals & F_SEAL_SHRINK) != 0 && fstat(file.get(), &status) == 0 && status.st_size >= 0 &&
         static_cast<std::uint64_t>(status.st_size) >= bytes;
}

}  // namespace

/// What this side has lent.
struct LentMemory {
  LentMemory(std::shared_ptr<FileDescriptor> socket_in, Mapping board_in)
      : socket(std::move(socket_in)), board(std::move(board_in)) {
    for (std::size_t slot = slots; slot > 0; --slot) {
      free.push_back(static_cast<std::uint16_t>(slot - 1));
    }
  }

  void let_go(std::uint16_t slot) {
    shares[slot] = {};
    free.push_back(slot);
  }

  bool is_read(std::uint16_t slot) const { return board.board().lent[slot].load(std::memory_order_acquire) == 0; }

  /// What is lent is read in about the order in which it was lent: this is nearly all, at next to no cost.
  void collect_oldest() {
    while (!in_use.empty() && is_read(in_use.front())) {
      let_go(in_use.front());
      in_use.pop_front();
    }
  }

  void collect() {
    std::erase_if(in_use, [this](std::uint16_t slot) {
      const bool read = is_read(slot);
      if (read) {
        let_go(slot);
      }
      return read;
    });
  }

  void collect_all() {
    gone = true;
    for (const std::uint16_t slot : in_use) {
      let_go(slot);
    }
    in_use.clear();
  }

  const std::shared_ptr<FileDescriptor> socket;
  const Mapping board;
  bool gone = false;
  std::array<Payload, slots> shares;
  std::deque<std::uint16_t> in_use;  ///< in the order in which they were lent
  std::vector<std::uint16_t> free;
};

/// What the other side may lend.
struct BorrowedMemory {
  BorrowedMemory(std::shared_ptr<FileDescriptor> socket_in, Mapping values_in, Mapping board_in)
      : socket(std::move(socket_in)), values(std::move(values_in)), board(std::move(board_in)) {}
  BorrowedMemory(const BorrowedMemory&) = delete;
  BorrowedMemory& operator=(const BorrowedMemory&) = delete;
  /// Tells the other side that nothing of it will be read any more.
  ~BorrowedMemory() { shutdown(socket->get(), SHUT_WR); }

  const std::shared_ptr<FileDescriptor> socket;
  const Mapping values;
  const Mapping board;
};

namespace {

/// The file and the memory of a board; nothing if there is none to be had.
std::optional<std::pair<FileDescriptor, Mapping>> make_board() {
  FileDescriptor file = memory_file("ringps-board", sizeof(Board));
  if (!file) {
    return std::nullopt;
  }
  Mapping mapping(file, sizeof(Board), PROT_READ | PROT_WRITE);
  return mapping ? std::optional(std::pair(std::move(file), std::move(mapping))) : std::nullopt;
}

/// Maps what a hello has brought; null if it is not what it should be, or there is no room.
std::shared_ptr<BorrowedMemory> map(const Greeting& greeting, std::shared_ptr<FileDescriptor> socket) {
  if (stays_long_enough(greeting.arena, greeting.hello.arena_bytes) &&
      stays_long_enough(greeting.board, sizeof(Board))) {
    Mapping values(greeting.arena, greeting.hello.arena_bytes, PROT_READ);
    Mapping board(greeting.board, sizeof(Board), PROT_READ | PROT_WRITE);
    if (values && board) {
      return std::make_shared<BorrowedMemory>(std::move(socket), std::move(values), std::move(board));
    }
  }
  log::warn("the memory of another process of this host cannot be mapped: its values come through the socket");
  return nullptr;
}

}  // namespace

MemoryLink::MemoryLink(std::unique_ptr<LentMemory> lent) : lent_(std::move(lent)) {}
MemoryLink::MemoryLink(MemoryLink&& other) noexcept = default;

MemoryLink::~MemoryLink() {
  // Of links that have ended while something was still lent. Looked through when another one ends.
  static std::mutex mutex;
  static std::vector<std::unique_ptr<LentMemory>> still_read;
  borrowed_.reset();
  if (lent_) {
    const std::lock_guard lock(mutex);
    still_read.push_back(std::move(lent_));
    std::erase_if(still_read, [](const auto& lent) {
      Greeting greeting;
      if (receive_hello(*lent->socket, greeting) == Heard::end) {
        lent->collect_all();
      }
      lent->collect();
      return lent->in_use.empty();
    });
  }
}

std::optional<MemoryLink> MemoryLink::connect(const std::string& name, const std::string& token) {
  if (arena_of_process() == nullptr) {
    return std::nullopt;
  }
  FileDescriptor socket = connect_locally(name, SOCK_SEQPACKET);
  auto board = make_board();
  if (!socket || !board || !say_hello(socket, token, board->first)) {
    return std::nullopt;
  }
  return MemoryLink(
      std::make_unique<LentMemory>(std::make_shared<FileDescriptor>(std::move(socket)), std::move(board->second)));
}

/// Whether the other side is there. Takes its hello.
bool MemoryLink::hear() {
  while (!lent_->gone) {
    Greeting greeting;
    const Heard heard = receive_hello(*lent_->socket, greeting);
    if (heard == Heard::nothing) {
      return true;
    }
    if (heard == Heard::hello && !borrowed_) {
      borrowed_ = map(greeting, lent_->socket);
    }
    if (heard == Heard::end || !borrowed_) {
      lent_->collect_all();
    }
    if (!borrowed_) {  // the other side is not to lend what cannot be read
      shutdown(lent_->socket->get(), SHUT_WR);
    }
  }
  return false;
}

std::optional<LentPlace> MemoryLink::lend(const Payload& payload) {
  if (payload.size() < large_value_bytes_min || lent_->gone) {
    return std::nullopt;
  }
  const auto offset = arena_of_process()->offset_of(payload.bytes());
  if (!offset || !hear() || !borrowed_) {
    return std::nullopt;
  }
  lent_->collect_oldest();
  if (lent_->free.empty()) {
    collect();
  }
  if (lent_->free.empty()) {
    return std::nullopt;
  }
  const std::uint16_t slot = lent_->free.back();
  lent_->free.pop_back();
  lent_->in_use.push_back(slot);
  lent_->shares[slot] = payload;
  lent_->board.board().lent[slot].store(1, std::memory_order_release);
  return LentPlace{*offset, static_cast<std::uint32_t>(payload.size()), slot};
}

void MemoryLink::take_back(const LentPlace& place) {
  lent_->board.board().lent[place.slot].store(0, std::memory_order_relaxed);
  collect();
}

void MemoryLink::collect() {
  lent_->collect();
}

bool MemoryLink::is_there() {
  collect();
  return hear();
}

bool MemoryLink::has_gone() const {
  return lent_->gone;
}

Result<Payload> MemoryLink::borrow(std::span<const std::byte> place) {
  LentPlace lent{};
  if (place.size() != sizeof lent) {
    return Error{"a place in shared memory of " + std::to_string(place.size()) + " bytes; expected " +
                 std::to_string(sizeof lent)};
  }
  std::memcpy(&lent, place.data(), sizeof lent);
  if (!borrowed_) {
    hear();
  }
  if (!borrowed_) {
    return Error{"a place in the memory of a process that has not said where that is"};
  }
  struct Reading {
    Reading(std::shared_ptr<BorrowedMemory> from_in, std::uint32_t slot_in) : from(std::move(from_in)), slot(slot_in) {}
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;
    ~Reading() { from->board.board().lent[slot].store(0, std::memory_order_release); }
    const std::shared_ptr<BorrowedMemory> from;
    const std::uint32_t slot;
  };
  const std::size_t arena_bytes = borrowed_->values.bytes();
  if (lent.slot >= slots || lent.bytes > limits::payload_bytes_max || lent.bytes > arena_bytes ||
      lent.offset > arena_bytes - lent.bytes) {
    return Error{"a place beyond the other process's memory"};
  }
  const std::span bytes(borrowed_->values.data() + lent.offset, lent.bytes);
  return Payload(std::make_shared<Reading>(borrowed_, lent.slot), bytes);
}

Result<MemoryListener> MemoryListener::listen(const std::string& name) {
  auto socket = listen_locally(name);
  return socket ? Result<MemoryListener>(MemoryListener(std::move(*socket))) : Error{socket.error()};
}

std::vector<std::pair<std::string, MemoryLink>> MemoryListener::accept() {
  constexpr std::size_t silent_max = 1024;
  while (FileDescriptor socket = accept_locally(socket_)) {
    if (silent_.size() < silent_max) {
      silent_.push_back(std::move(socket));
    }
  }
  std::vector<std::pair<std::string, MemoryLink>> links;
  std::vector<FileDescriptor> still_silent;
  for (FileDescriptor& socket : silent_) {
    Greeting greeting;
    const Heard heard = receive_hello(socket, greeting);
    if (heard == Heard::nothing) {
      still_silent.push_back(std::move(socket));
    } else if (heard == Heard::hello) {
      const auto shared = std::make_shared<FileDescriptor>(std::move(socket));
      auto borrowed = map(greeting, shared);
      auto board = make_board();
      if (borrowed && board && say_hello(*shared, "", board->first)) {
        MemoryLink link(std::make_unique<LentMemory>(shared, std::move(board->second)));
        link.borrowed_ = std::move(borrowed);
        const auto& token = greeting.hello.token;
        links.emplace_back(std::string(token.begin(), std::find(token.begin(), token.end(), '\0')), std::move(link));
      }
    }
  }
  silent_ = std::move(still_silent);
  return links;
}

}  // namespace ringps
