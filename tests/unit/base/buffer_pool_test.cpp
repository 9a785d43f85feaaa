#include "libps/base/buffer_pool.hpp"

#include <catch2/catch.hpp>

using namespace ringps;

TEST_CASE("a buffer that was given back is lent again, to whoever wants one of its size") {
  BufferPool pool;
  Buffer buffer = pool.take(3);
  const float* const memory = buffer.data();
  pool.give_back(std::move(buffer));
  CHECK(pool.take(4).data() != memory);
  const Buffer again = pool.take(3);
  CHECK(again.data() == memory);
  CHECK(again.is_sole_owner());
  CHECK(pool.take(3).data() != memory);
}

TEST_CASE("a buffer that somebody still reads is not lent") {
  BufferPool pool;
  Buffer buffer = pool.take(3);
  const float* const memory = buffer.data();
  pool.give_back(buffer);
  CHECK(pool.take(3).data() != memory);
  buffer = nullptr;
  CHECK(pool.take(3).data() == memory);
}

TEST_CASE("as many buffers are made as are read at the same time") {
  BufferPool pool;
  std::vector<Buffer> reading(5);
  std::vector<const float*> made;
  for (int i = 0; i < 1000; ++i) {
    Buffer buffer = pool.take(8);
    made.push_back(buffer.data());
    pool.give_back(buffer);
    reading[static_cast<std::size_t>(i) % reading.size()] = buffer;
  }
  std::sort(made.begin(), made.end());
  CHECK(std::unique(made.begin(), made.end()) - made.begin() <= 7);
}

TEST_CASE("nothing is nothing to give back") {
  BufferPool pool;
  pool.give_back(nullptr);
  pool.clear();
  CHECK(pool.take(1).size() == 1);
}
