#include "libps/net/memory_link.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libps/base/random.hpp"
#include "libps/net/clock.hpp"
#include "libps/net/event_loop.hpp"
#include "libps/net/local_socket.hpp"
#include "libps/net/shared_arena.hpp"
#include "libps/net/socket.hpp"
#include "tests/unit/net/support.hpp"

namespace ringps {
namespace {

constexpr std::size_t floats = 65536;
const std::string token = "mtoken";

/// Tests run in processes of their own, and one of them at a time uses a name.
const std::string& own_name() {
  static const std::string name = "ringps-test-" + std::to_string(getpid());  // children of this process mean it too
  return name;
}

void share() {
  if (arena_of_process() == nullptr) {
    share_memory();
    REQUIRE(arena_of_process() != nullptr);
  }
}

Payload values(float value) {
  return Payload::of(Buffer(floats, value), floats);
}

std::span<const std::byte> bytes_of(const LentPlace& place) {
  return std::as_bytes(std::span(&place, 1));
}

float first_of(const Payload& payload) {
  float value = 0;
  std::memcpy(&value, payload.data(), sizeof value);
  return value;
}

bool all_are(const Payload& payload, float value) {
  Buffer expected(floats, value);
  return payload.size() == floats * sizeof(float) && std::memcmp(payload.data(), expected.data(), payload.size()) == 0;
}

/// Both sides of a link, in one process.
struct Pair {
  Pair() {
    share();
    auto listening = MemoryListener::listen(own_name());
    REQUIRE(listening.ok());
    listener.emplace(std::move(*listening));
    auto connected = MemoryLink::connect(own_name(), token);
    REQUIRE(connected.has_value());
    near.emplace(std::move(*connected));
  }

  void accept() {
    auto links = listener->accept();
    REQUIRE(links.size() == 1);
    CHECK(links.front().first == token);
    far.emplace(std::move(links.front().second));
  }

  /// What the near side lends, as the far side has it.
  Payload read_by_far(const Buffer& buffer) {
    const auto place = near->lend(Payload::of(buffer, floats));
    REQUIRE(place.has_value());
    auto read = far->borrow(bytes_of(*place));
    REQUIRE(read.ok());
    return *read;
  }

  std::optional<MemoryListener> listener;
  std::optional<MemoryLink> near;
  std::optional<MemoryLink> far;
};

TEST_CASE("what is lent is read where it lies, and kept until the last reader has let go") {
  Pair pair;
  pair.accept();
  Buffer buffer(floats, 1.0F);
  Payload read = pair.read_by_far(buffer);
  CHECK(all_are(read, 1.0F));
  buffer.data()[0] = 2.0F;  // nobody may; but it shows that these are the same bytes
  CHECK(first_of(read) == 2.0F);
  Payload copy = read;
  read = Payload();
  pair.near->collect();
  CHECK_FALSE(buffer.is_sole_owner());
  copy = {};
  pair.near->collect();
  CHECK(buffer.is_sole_owner());
}

TEST_CASE("nothing is lent before the other side has answered, and then both lend") {
  Pair pair;
  CHECK_FALSE(pair.near->lend(values(1.0F)).has_value());
  pair.accept();
  CHECK(pair.near->lend(values(1.0F)).has_value());
  CHECK(pair.far->lend(values(1.0F)).has_value());
}

TEST_CASE("small payloads and those in other memory are not lent") {
  Pair pair;
  pair.accept();
  CHECK_FALSE(pair.near->lend(Payload::of(Buffer(785, 1.0F), 785)).has_value());
  const auto elsewhere = std::make_shared<std::vector<float>>(floats, 1.0F);
  CHECK_FALSE(pair.near->lend(Payload::of(std::shared_ptr<const std::vector<float>>(elsewhere))).has_value());
}

TEST_CASE("what could not be told is taken back") {
  Pair pair;
  pair.accept();
  Buffer buffer(floats, 1.0F);
  const auto place = pair.near->lend(Payload::of(buffer, floats));
  REQUIRE(place.has_value());
  pair.near->take_back(*place);
  CHECK(buffer.is_sole_owner());
}

TEST_CASE("a reader that does not read is lent a bounded number of payloads") {
  Pair pair;
  pair.accept();
  const Payload payload = values(1.0F);
  std::size_t lent = 0;
  while (pair.near->lend(payload)) {
    ++lent;
    REQUIRE(lent <= 10'000);
  }
  CHECK(lent >= 1000);
}

TEST_CASE("a link that ends leaves what is still read as it is") {
  Pair pair;
  pair.accept();
  Buffer buffer(floats, 1.0F);
  Payload read = pair.read_by_far(buffer);
  pair.near.reset();
  CHECK_FALSE(buffer.is_sole_owner());
  CHECK(all_are(read, 1.0F));
  SECTION("until the reader has let go") {
    read = Payload();
  }
  SECTION("although the reader's own link has ended") {
    pair.far.reset();
    CHECK_FALSE(buffer.is_sole_owner());
    read = Payload();
  }
  pair.far.reset();
  pair.listener.reset();
  {
    Pair other;  // whose end looks through what is still read
    other.accept();
  }
  CHECK(buffer.is_sole_owner());
}

TEST_CASE("a side whose other one has ended learns that and lends nothing") {
  Pair pair;
  pair.accept();
  CHECK(pair.near->is_there());
  pair.far.reset();
  CHECK_FALSE(pair.near->is_there());
  CHECK(pair.near->has_gone());
  CHECK_FALSE(pair.near->lend(values(1.0F)).has_value());
}

/// A child process that is killed, by itself where it does what it should, and exits with another code where it does
/// not.
class Child {
 public:
  template <class Act>
  explicit Child(const Act& act) : pid_(fork()) {
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      if (act()) {
        raise(SIGKILL);
      }
      _exit(1);
    }
  }
  ~Child() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  bool has_killed_itself() {
    int status = 0;
    REQUIRE(waitpid(std::exchange(pid_, 0), &status, 0) > 0);
    return WIFSIGNALED(status);
  }

 private:
  pid_t pid_;
};

/// Places from one process to another.
class Pipe {
 public:
  Pipe() {
    std::array<int, 2> ends{};
    REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
    from_ = FileDescriptor(ends[0]);
    to_ = FileDescriptor(ends[1]);
  }
  bool tell(const LentPlace& place) const { return write(to_.get(), &place, sizeof place) == sizeof place; }
  bool hear(LentPlace& place) const { return read(from_.get(), &place, sizeof place) == sizeof place; }

 private:
  FileDescriptor from_;
  FileDescriptor to_;
};

MemoryListener listen_here() {
  share();
  auto listener = MemoryListener::listen(own_name());
  REQUIRE(listener.ok());
  return std::move(*listener);
}

MemoryLink accept_one(MemoryListener& listener) {
  const Time give_up = now() + std::chrono::seconds(20);
  for (;;) {
    auto links = listener.accept();
    if (!links.empty()) {
      return std::move(links.front().second);
    }
    REQUIRE(now() < give_up);
  }
}

TEST_CASE("a reader that is killed has let go") {
  MemoryListener listener = listen_here();
  const Pipe pipe;
  Buffer buffer(floats, 1.0F);
  Child child([&] {
    auto link = MemoryLink::connect(own_name(), token);
    LentPlace place{};
    if (!link || !pipe.hear(place)) {
      return false;
    }
    const auto payload = link->borrow(bytes_of(place));
    return payload.ok() && all_are(*payload, 1.0F);
  });
  MemoryLink link = accept_one(listener);
  const auto place = link.lend(Payload::of(buffer, floats));
  REQUIRE(place.has_value());
  CHECK_FALSE(buffer.is_sole_owner());
  REQUIRE(pipe.tell(*place));
  REQUIRE(child.has_killed_itself());
  CHECK_FALSE(link.is_there());
  CHECK(buffer.is_sole_owner());
}

TEST_CASE("what a process has lent that is killed stays readable, and unchanged") {
  MemoryListener listener = listen_here();
  const Pipe answered;
  const Pipe told;
  Child child([&] {
    share_memory();  // an arena of its own
    auto link = MemoryLink::connect(own_name(), token);
    LentPlace place{};
    if (!link || !answered.hear(place)) {
      return false;
    }
    const auto lent = link->lend(values(7.0F));
    return lent && told.tell(*lent);
  });
  std::optional<MemoryLink> link(accept_one(listener));
  REQUIRE(answered.tell({}));
  LentPlace place{};
  REQUIRE(told.hear(place));
  REQUIRE(child.has_killed_itself());
  const auto payload = link->borrow(bytes_of(place));
  REQUIRE(payload.ok());
  CHECK_FALSE(link->is_there());
  link.reset();
  CHECK(all_are(*payload, 7.0F));
}

TEST_CASE("a place that cannot be is refused, whatever its bytes are") {
  Pair pair;
  pair.accept();
  const std::uint64_t arena_bytes = arena_of_process()->bytes();
  const auto refused = [&](const LentPlace& place) { return !pair.far->borrow(bytes_of(place)).ok(); };
  CHECK(refused({arena_bytes, 1, 0}));
  CHECK(refused({arena_bytes - 16384, 16385, 0}));
  CHECK(refused({0xFFFFFFFFFFFFFFFF, 16384, 0}));
  CHECK(refused({0, 0xFFFFFFFF, 0}));
  CHECK(refused({0, 16384, 4096}));
  CHECK(refused({0, 16384, 0xFFFFFFFF}));
  CHECK_FALSE(refused({arena_bytes - 16384, 16384, 4095}));
  const std::array<std::byte, 15> short_one{};
  CHECK_FALSE(pair.far->borrow(short_one).ok());
  CHECK_FALSE(pair.far->borrow({}).ok());

  const KeyedRandom random(20261126, "places");
  for (std::uint64_t draw = 0; draw < 10'000; ++draw) {
    LentPlace place{random.bits(2 * draw) >> (draw % 64), static_cast<std::uint32_t>(random.bits(2 * draw + 1)),
                    static_cast<std::uint32_t>(draw % 8192)};
    if (auto payload = pair.far->borrow(bytes_of(place))) {
      CHECK(place.offset + payload->size() <= arena_bytes);
      CHECK(place.slot < 4096);
    }
  }
}

/// Says hello with these files, and looks whether the listener makes a link of it.
bool is_taken(MemoryListener& listener, const std::array<int, 2>& files, std::uint64_t arena_bytes, const char* magic) {
  struct {
    std::array<char, 8> magic;
    std::array<char, 32> token;
    std::uint64_t arena_bytes;
  } hello{{}, {"m"}, arena_bytes};
  std::memcpy(hello.magic.data(), magic, hello.magic.size());
  const FileDescriptor socket = connect_locally(own_name(), SOCK_SEQPACKET);
  REQUIRE(socket);
  iovec part{&hello, sizeof hello};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof files)> control{};
  msghdr packet{};
  packet.msg_iov = &part;
  packet.msg_iovlen = 1;
  packet.msg_control = control.data();
  packet.msg_controllen = control.size();
  cmsghdr* const rights = CMSG_FIRSTHDR(&packet);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof files);
  std::memcpy(CMSG_DATA(rights), files.data(), sizeof files);
  REQUIRE(sendmsg(socket.get(), &packet, 0) == static_cast<ssize_t>(sizeof hello));
  return !listener.accept().empty();
}

TEST_CASE("memory that could be taken away while it is read is not accepted") {
  MemoryListener listener = listen_here();
  constexpr std::size_t bytes = 1U << 20U;
  const auto file = [&](int seals) {
    FileDescriptor made(memfd_create("ringps-test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    REQUIRE(ftruncate(made.get(), bytes) == 0);
    REQUIRE(fcntl(made.get(), F_ADD_SEALS, seals) == 0);
    return made;
  };
  const FileDescriptor sealed = file(F_SEAL_SHRINK);
  const FileDescriptor open = file(0);
  const FileDescriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  CHECK(is_taken(listener, {sealed.get(), sealed.get()}, bytes, "ringpsm1"));
  CHECK_FALSE(is_taken(listener, {open.get(), sealed.get()}, bytes, "ringpsm1"));
  CHECK_FALSE(is_taken(listener, {sealed.get(), open.get()}, bytes, "ringpsm1"));
  CHECK_FALSE(is_taken(listener, {null.get(), sealed.get()}, bytes, "ringpsm1"));
  CHECK_FALSE(is_taken(listener, {sealed.get(), sealed.get()}, bytes + 1, "ringpsm1"));
  CHECK_FALSE(is_taken(listener, {sealed.get(), sealed.get()}, bytes, "ringpsm0"));
}

TEST_CASE("a side that cannot map what it is handed says so, and is lent nothing that it could not read") {
  share();
  const auto listener = listen_locally(own_name());
  REQUIRE(listener.ok());
  auto link = MemoryLink::connect(own_name(), token);
  REQUIRE(link.has_value());
  const FileDescriptor other = accept_locally(*listener);
  REQUIRE(other);
  std::array<std::byte, 256> hello{};
  REQUIRE(recv(other.get(), hello.data(), hello.size(), MSG_DONTWAIT) > 0);
  REQUIRE(send(other.get(), "no hello", 8, 0) == 8);
  CHECK_FALSE(link->is_there());
  CHECK(recv(other.get(), hello.data(), hello.size(), MSG_DONTWAIT) == 0);
}

// ---- by way of sockets ----------------------------------------------------------------------------------------------

/// Receives one message; fails when none comes.
template <class Receive>
Message next(PolledSocket& socket, const Receive& receive) {
  EventLoop loop;
  loop.add(socket);
  const Time give_up = now() + std::chrono::seconds(10);
  for (Message message; now() < give_up;) {
    if (receive(message)) {
      return message;
    }
    loop.wait_until(now() + std::chrono::milliseconds(10));
  }
  FAIL("no message has come");
  return {};
}

Message push_of(Payload payload) {
  return {{"test", Role::worker, "worker0", Incarnation{1}, {}, {}},
          Push{Iteration{1}, SliceId{0}, {}, {}},
          std::move(payload)};
}

TEST_CASE("sockets of one host hand large payloads over in shared memory, there and back") {
  share();
  zmq::context_t context = make_context();
  const std::string endpoint = "ipc://@" + own_name() + "-zmq";
  auto router = std::make_unique<RouterSocket>(context, bulk_queues(1U << 20U));
  REQUIRE(router->bind(endpoint).ok());
  DealerSocket dealer(context, endpoint, bulk_queues(1U << 20U));
  Route route;
  const auto at_router = [&](Message& message) { return router->receive(route, message, none_expected); };
  const auto at_dealer = [&](Message& message) { return dealer.receive(message, none_expected); };

  // The first message is what the other side is known by.
  dealer.send({{"test", Role::worker, "worker0", Incarnation{1}, {}, {}}, GetView{}, {}});
  EventLoop loop;
  loop.add(dealer, [&] { dealer.flush(); });
  next(*router, [&](Message& message) {
    loop.wait_until(now());
    return at_router(message);
  });

  Buffer gradient(floats, 1.0F);
  dealer.send(push_of(Payload::of(gradient, floats)));
  Message received = next(*router, at_router);
  CHECK(all_are(received.payload, 1.0F));
  gradient.data()[0] = 3.0F;
  CHECK(first_of(received.payload) == 3.0F);
  received = {};

  Buffer weights(floats, 2.0F);
  CHECK(router->send(
      route,
      {{"test", Role::server, "server0", Incarnation{1}, {}, {}}, Values{Iteration{1}}, Payload::of(weights, floats)}));
  received = next(dealer, at_dealer);
  CHECK(all_are(received.payload, 2.0F));
  weights.data()[0] = 4.0F;
  CHECK(first_of(received.payload) == 4.0F);

  // Both have been read: the dealer's at the latest when there is nothing more to receive, the router's when it looks.
  Message none;
  CHECK_FALSE(at_dealer(none));
  CHECK(gradient.is_sole_owner());
  received = {};
  router->collect_lent();
  CHECK(weights.is_sole_owner());
}

TEST_CASE("what a router has mapped of others goes when they go, and control sockets map nothing") {
  share();
  const auto borrowed_maps = [] {
    std::ifstream maps("/proc/self/maps");
    int count = 0;
    for (std::string line; std::getline(maps, line);) {
      count +=
          line.find("memfd:ringps-values") != std::string::npos && line.find(" r--s ") != std::string::npos ? 1 : 0;
    }
    return count;
  };
  REQUIRE(borrowed_maps() == 0);
  const bool of_values = GENERATE(true, false);
  const Queues queues = of_values ? bulk_queues(1U << 20U) : control_queues;
  zmq::context_t context = make_context();
  const std::string endpoint = "ipc://@" + own_name() + "-zmq";
  RouterSocket router(context, queues);
  REQUIRE(router.bind(endpoint).ok());
  {
    DealerSocket dealer(context, endpoint, queues);
    dealer.send({{"test", Role::worker, "worker0", Incarnation{1}, {}, {}}, GetView{}, {}});
    EventLoop loop;
    loop.add(dealer, [&] { dealer.flush(); });
    Route route;
    next(router, [&](Message& message) {
      loop.wait_until(now());
      return router.receive(route, message, none_expected);
    });
    CHECK(borrowed_maps() == (of_values ? 1 : 0));
  }
  router.collect_lent();  // notices
  router.collect_lent();  // lets go
  CHECK(borrowed_maps() == 0);
}

TEST_CASE("a payload that is said to lie in memory that nobody shares is refused") {
  share();
  zmq::context_t context = make_context();
  const std::string endpoint = "ipc://@" + own_name() + "-zmq";
  RouterSocket router(context, bulk_queues(1U << 20U));
  REQUIRE(router.bind(endpoint).ok());
  zmq::socket_t foreign(context, zmq::socket_type::dealer);
  foreign.set(zmq::sockopt::linger, 0);
  foreign.set(zmq::sockopt::routing_id, "mforeign");
  foreign.connect(endpoint);
  const LentPlace place{0, 16384, 0};
  foreign.send(zmq::str_buffer("header"), zmq::send_flags::sndmore);
  foreign.send(zmq::message_t(), zmq::send_flags::sndmore);
  foreign.send(zmq::buffer(&place, sizeof place), zmq::send_flags::none);
  EventLoop loop;
  loop.add(router);
  std::string refused;
  const Time give_up = now() + std::chrono::seconds(10);
  while (refused.empty() && now() < give_up) {
    Route route;
    Message message;
    CHECK_FALSE(router.receive(route, message, [&](const std::string& reason) { refused = reason; }));
    loop.wait_until(now() + std::chrono::milliseconds(10));
  }
  CHECK_THAT(refused, Catch::Contains("shared memory"));
}

}  // namespace
}  // namespace ringps
