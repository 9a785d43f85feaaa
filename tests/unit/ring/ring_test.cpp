#include "libps/ring/ring.hpp"

#include <rapidcheck.h>
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "libps/base/sha256.hpp"

namespace ringps {
namespace {

std::vector<std::string> names(const std::string& stem, std::size_t count) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back(stem + std::to_string(i));
  }
  return all;
}

/// The predecessor's rule, word for word: digests as text, the first point greater than the key's, else the first.
std::string predecessor_owner(const std::vector<std::string>& servers, int points, const std::string& key) {
  std::map<std::string, std::string> ring;
  for (const std::string& server : servers) {
    for (int i = 0; i < points; ++i) {
      ring[sha256_hex(server + std::to_string(i))] = server;
    }
  }
  const auto after = ring.upper_bound(sha256_hex(key));
  return after == ring.end() ? ring.begin()->second : after->second;
}

rc::Gen<std::vector<std::string>> any_servers() {
  return rc::gen::map(rc::gen::inRange(1, 9),
                      [](int count) { return names("server", static_cast<std::size_t>(count)); });
}

TEST_CASE("a parameter belongs to the server that the predecessor's ring gives it") {
  const auto servers = names("server", 5);
  auto keys = names("fc_weights.", 784);
  keys.emplace_back("fc_bias");
  const Ring ring(servers, 100);
  for (const std::string& key : keys) {
    CHECK(servers[ring.owner(key)] == predecessor_owner(servers, 100, key));
  }
}

TEST_CASE("a ring point is the first eight bytes of the digest, as a big-endian number") {
  CHECK(ring_point("abc") == 0xba7816bf8f01cfeaULL);  // FIPS 180-2, appendix B.1
}

TEST_CASE("removing a server moves only its own keys") {
  CHECK(rc::check([] {
    auto servers = *any_servers();
    RC_PRE(servers.size() > 1U);
    const auto removed = *rc::gen::inRange<std::size_t>(0, servers.size());
    const auto points = *rc::gen::inRange<std::uint32_t>(1, 30);
    const Ring before(servers, points);
    auto rest = servers;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(removed));
    const Ring after(rest, points);
    for (const std::string& key : names("key", 50)) {
      if (before.owner(key) != removed) {
        RC_ASSERT(servers[before.owner(key)] == rest[after.owner(key)]);
      }
    }
  }));
}

TEST_CASE("when a server is removed, the next owner of its keys is their first backup") {
  CHECK(rc::check([] {
    auto servers = *any_servers();
    RC_PRE(servers.size() > 1U);
    const auto removed = *rc::gen::inRange<std::size_t>(0, servers.size());
    const Ring before(servers, 10);
    auto rest = servers;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(removed));
    const Ring after(rest, 10);
    for (const std::string& key : names("key", 50)) {
      const auto replicas = before.replicas(key, 2);
      if (replicas[0] == removed) {
        RC_ASSERT(rest[after.owner(key)] == servers[replicas[1]]);
      }
    }
  }));
}

TEST_CASE("the replicas of a key are distinct servers, the owner first, as many as there are") {
  CHECK(rc::check([] {
    const auto servers = *any_servers();
    const auto count = *rc::gen::inRange<std::uint32_t>(1, 12);
    const Ring ring(servers, *rc::gen::inRange<std::uint32_t>(1, 20));
    const auto key = *rc::gen::arbitrary<std::string>();
    const auto replicas = ring.replicas(key, count);
    RC_ASSERT(replicas.size() == std::min<std::size_t>(count, servers.size()));
    RC_ASSERT(replicas.front() == ring.owner(key));
    RC_ASSERT(std::set(replicas.begin(), replicas.end()).size() == replicas.size());
  }));
}

TEST_CASE("the ring does not depend on the order in which servers are listed") {
  CHECK(rc::check([] {
    auto servers = *any_servers();
    const Ring ring(servers, 10);
    auto reversed = servers;
    std::reverse(reversed.begin(), reversed.end());
    const Ring other(reversed, 10);
    for (const std::string& key : names("key", 20)) {
      RC_ASSERT(servers[ring.owner(key)] == reversed[other.owner(key)]);
    }
  }));
}

}  // namespace
}  // namespace ringps
