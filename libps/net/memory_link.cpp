#include "libps/net/memory_link.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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
  Mapping(const Descriptor& file, std::size_t bytes, int protection) : bytes_(bytes) {
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

sockaddr_un address_of(const std::string& name, socklen_t& length) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t copied = name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
  length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + copied);
  return address;
}

Descriptor unix_socket() {
  return Descriptor(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

bool is_of_this_user(const Descriptor& socket) {
  ucred peer{};
  socklen_t length = sizeof peer;
  return getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == geteuid();
}

union Control {
  std::array<std::byte, CMSG_SPACE(2 * sizeof(int))> bytes;
  cmsghdr aligned;
};

bool say_hello(const Descriptor& socket, const std::string& token, const Descriptor& board) {
  Hello hello;
  token.copy(hello.token.data(), hello.token.size());
  hello.arena_bytes = arena_of_process()->bytes();
  iovec part{&hello, sizeof hello};
  Control control{};
  msghdr packet{};
  packet.msg_iov = &part;
  packet.msg_iovlen = 1;
  packet.msg_control = control.bytes.data();
  packet.msg_controllen = control.bytes.size();
  cmsghdr* const rights = CMSG_FIRSTHDR(&packet);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(2 * sizeof(int));
  const std::array<int, 2> files{arena_of_process()->descriptor(), board.get()};
  std::memcpy(CMSG_DATA(rights), files.data(), sizeof files);
  return sendmsg(socket.get(), &packet, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof hello);
}

enum class Heard : std::uint8_t { nothing, hello, end };

}  // namespace

struct MemoryLink::Greeting {
  Hello hello;
  Descriptor arena;
  Descriptor board;
};

namespace {

template <class Greeting>
Heard receive_hello(const Descriptor& socket, Greeting& greeting) {
  iovec part{&greeting.hello, sizeof greeting.hello};
  Control control{};
  msghdr packet{};
  packet.msg_iov = &part;
  packet.msg_iovlen = 1;
  packet.msg_control = control.bytes.data();
  packet.msg_controllen = control.bytes.size();
  const ssize_t received = recvmsg(socket.get(), &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (received < 0) {
    return errno == EAGAIN || errno == EINTR ? Heard::nothing : Heard::end;
  }
  std::array<Descriptor*, 2> into{&greeting.arena, &greeting.board};
  std::size_t files = 0;
  for (cmsghdr* header = CMSG_FIRSTHDR(&packet); header != nullptr; header = CMSG_NXTHDR(&packet, header)) {
    for (std::size_t at = CMSG_LEN(0); header->cmsg_type == SCM_RIGHTS && at + sizeof(int) <= header->cmsg_len;
         at += sizeof(int)) {
      int file = -1;
      std::memcpy(&file, CMSG_DATA(header) + (at - CMSG_LEN(0)), sizeof file);
      Descriptor owned(file);
      if (files < into.size()) {
        *into[files++] = std::move(owned);
      }
    }
  }
  const bool whole = received == static_cast<ssize_t>(sizeof(Hello)) && (packet.msg_flags & MSG_TRUNC) == 0 &&
                     files == into.size() && greeting.hello.magic == Hello{}.magic;
  return whole ? Heard::hello : Heard::end;
}

/// Whether a file in memory has so many bytes and always will: else a read could be the end of this process.
bool stays_long_enough(const Descriptor& file, std::size_t bytes) {
  struct stat status {};
  const int seals = fcntl(file.get(), F_GET_SEALS);
  return seals >= 0 && (seals & F_SEAL_SHRINK) != 0 && fstat(file.get(), &status) == 0 && status.st_size >= 0 &&
         static_cast<std::uint64_t>(status.st_size) >= bytes;
}

}  // namespace

/// What this side has lent.
struct MemoryLink::Lent {
  Lent(std::shared_ptr<Descriptor> socket_in, Mapping board_in)
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

  const std::shared_ptr<Descriptor> socket;
  const Mapping board;
  bool gone = false;
  std::array<Payload, slots> shares;
  std::deque<std::uint16_t> in_use;  ///< in the order in which they were lent
  std::vector<std::uint16_t> free;
};

/// What the other side may lend.
struct MemoryLink::Borrowed {
  Borrowed(std::shared_ptr<Descriptor> socket_in, Mapping values_in, Mapping board_in)
      : socket(std::move(socket_in)), values(std::move(values_in)), board(std::move(board_in)) {}
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  /// Tells the other side that nothing of it will be read any more.
  ~Borrowed() { shutdown(socket->get(), SHUT_WR); }

  const std::shared_ptr<Descriptor> socket;
  const Mapping values;
  const Mapping board;
};

namespace {

/// A file in memory for a board, which the other side can write and nobody can shorten.
std::optional<std::pair<Descriptor, Mapping>> make_board() {
  Descriptor file = memory_file("ringps-board");
  if (!file || ftruncate(file.get(), sizeof(Board)) != 0 ||
      fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return std::nullopt;
  }
  Mapping mapping(file, sizeof(Board), PROT_READ | PROT_WRITE);
  return mapping ? std::optional(std::pair(std::move(file), std::move(mapping))) : std::nullopt;
}

}  // namespace

MemoryLink::MemoryLink(std::unique_ptr<Lent> lent) : lent_(std::move(lent)) {}
MemoryLink::MemoryLink(MemoryLink&& other) noexcept = default;

MemoryLink::~MemoryLink() {
  // Of links that have ended while something was still lent. Looked through when another one ends.
  static std::mutex mutex;
  static std::vector<std::unique_ptr<Lent>> still_read;
  borrowed_.reset();
  if (lent_) {
    const std::lock_guard lock(mutex);
    still_read.push_back(std::move(lent_));
    std::erase_if(still_read, [](const auto& lent) {
      std::byte any{};
      if (recv(lent->socket->get(), &any, sizeof any, MSG_DONTWAIT) == 0) {
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
  Descriptor socket = unix_socket();
  socklen_t length = 0;
  const sockaddr_un address = address_of(name, length);
  auto board = make_board();
  if (!socket || !board || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      !is_of_this_user(socket) || !say_hello(socket, token, board->first)) {
    return std::nullopt;
  }
  return MemoryLink(std::make_unique<Lent>(std::make_shared<Descriptor>(std::move(socket)), std::move(board->second)));
}

/// Maps what a hello has brought; null if it is not what it should be, or there is no room.
std::shared_ptr<MemoryLink::Borrowed> MemoryLink::map(const Greeting& greeting, std::shared_ptr<Descriptor> socket) {
  if (stays_long_enough(greeting.arena, greeting.hello.arena_bytes) &&
      stays_long_enough(greeting.board, sizeof(Board))) {
    Mapping values(greeting.arena, greeting.hello.arena_bytes, PROT_READ);
    Mapping board(greeting.board, sizeof(Board), PROT_READ | PROT_WRITE);
    if (values && board) {
      return std::make_shared<Borrowed>(std::move(socket), std::move(values), std::move(board));
    }
  }
  log::warn("the memory of another process of this host cannot be mapped: its values come through the socket");
  shutdown(socket->get(), SHUT_WR);
  return nullptr;
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
    Reading(std::shared_ptr<Borrowed> from_in, std::uint32_t slot_in) : from(std::move(from_in)), slot(slot_in) {}
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;
    ~Reading() { from->board.board().lent[slot].store(0, std::memory_order_release); }
    const std::shared_ptr<Borrowed> from;
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
  Descriptor socket = unix_socket();
  socklen_t length = 0;
  const sockaddr_un address = address_of(name, length);
  if (!socket || bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      ::listen(socket.get(), SOMAXCONN) != 0) {
    return Error{"cannot listen at the abstract socket '" + name + "': " + std::strerror(errno)};
  }
  return MemoryListener(std::move(socket));
}

std::vector<std::pair<std::string, MemoryLink>> MemoryListener::accept() {
  constexpr std::size_t silent_max = 1024;
  for (;;) {
    Descriptor socket(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) {
      break;
    }
    if (is_of_this_user(socket) && silent_.size() < silent_max) {
      silent_.push_back(std::move(socket));
    }
  }
  std::vector<std::pair<std::string, MemoryLink>> links;
  std::vector<Descriptor> still_silent;
  for (Descriptor& socket : silent_) {
    MemoryLink::Greeting greeting;
    const Heard heard = receive_hello(socket, greeting);
    if (heard == Heard::nothing) {
      still_silent.push_back(std::move(socket));
    } else if (heard == Heard::hello) {
      const auto shared = std::make_shared<Descriptor>(std::move(socket));
      auto borrowed = MemoryLink::map(greeting, shared);
      auto board = make_board();
      if (borrowed && board && say_hello(*shared, "", board->first)) {
        MemoryLink link(std::make_unique<MemoryLink::Lent>(shared, std::move(board->second)));
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
