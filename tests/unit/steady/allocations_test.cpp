// What an iteration costs in allocations once training runs: a shard, its workers and the codec in one process, without
// sockets. In a program of its own, because it counts every call of operator new.
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <new>

#include "libps/core/client.hpp"
#include "libps/core/shard.hpp"
#include "libps/wire/codec.hpp"
#include "tests/unit/core/support.hpp"

namespace {

std::atomic<std::size_t> allocations{0};

void* counted(std::size_t bytes, std::size_t alignment) {
  ++allocations;
  if (void* memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment)) {
    return memory;
  }
  throw std::bad_alloc();
}

/// Not inline: else g++ sees memory of operator new come to free, and does not see that both are ours.
[[gnu::noinline]] void release(void* memory) {
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t bytes) {
  return counted(bytes, alignof(std::max_align_t));
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
// The standard library's own form of this one calls the first, but a sanitizer's does not.
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return counted(bytes, alignof(std::max_align_t));
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  release(memory);
}
void operator delete(void* memory) noexcept {
  release(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  release(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  release(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  release(memory);
}

namespace ringps {
namespace {

/// A message through the codec into `to`, in memory that is used again; its payload as it stands.
void carry(const Message& message, std::string& header, Message& to) {
  encode_header(message, header);
  const auto decoded =
      decode(std::as_bytes(std::span(header)), message.payload.empty() ? nullptr : &message.payload, to);
  check(decoded.ok(), "what is encoded can be decoded");
}

/// Allocations so far, of the server's side and of the workers'.
struct Counted {
  std::size_t server = 0;
  std::size_t workers = 0;
};

class Training {
 public:
  Training(const JobSpec& job, std::uint32_t workers) : shard_(job, {"server0"}, {1}) {
    const View view = make_view(job, 1, 1, workers);
    shard_.on_view(now_, view, answers_);
    answers_.clear();
    for (std::uint32_t w = 0; w < workers; ++w) {
      clients_.push_back(std::make_unique<ClientCore>(job, WorkerId{"worker" + std::to_string(w)}, Incarnation{1}));
      requests_.emplace_back();
      clients_[w]->on_view(now_, view, requests_[w]);
    }
    gradient_ = std::make_shared<const Floats>(shard_.table().flat_elements(), 1e-6F);
  }

  /// Each worker in turn says all that it has to say.
  void turn() {
    for (std::uint32_t w = 0; w < clients_.size(); ++w) {
      const std::size_t before = allocations;
      while (const auto task = clients_[w]->next_task()) {
        clients_[w]->contribute(now_, *task, gradient_, requests_[w]);
      }
      workers_ += allocations - before;
      // An answer may be for another worker, and make it say something more: that is for its own turn.
      for (ClientCore::Effect& effect : requests_[w]) {
        if (auto* send = std::get_if<ClientCore::Send>(&effect)) {
          serve(w, send->message);
        }
      }
      requests_[w].clear();
      for (auto& [to, message] : waiting_) {
        const std::size_t arrived = allocations;
        carry(message, header_, received_);
        clients_[to]->on_message(now_, received_, requests_[to]);
        workers_ += allocations - arrived;
      }
      waiting_.clear();
    }
  }

  void train_to(std::uint64_t iteration) {
    while (clients_.front()->version().value < iteration) {
      turn();
    }
  }

  Counted counted() const { return {server_, workers_}; }

 private:
  void serve(std::uint32_t worker, const Message& request) {
    const std::size_t before = allocations;
    const std::string route(1, static_cast<char>('0' + worker));
    carry(request, header_, at_server_);
    shard_.on_message(now_, route, at_server_, answers_);
    server_ += allocations - before;
    at_server_.payload = {};
    for (Shard::Effect& effect : answers_) {
      auto& reply = std::get<Shard::Reply>(effect);
      waiting_.emplace_back(static_cast<std::uint32_t>(reply.to[0] - '0'), std::move(reply.message));
    }
    answers_.clear();
  }

  Time now_ = start_time;
  Shard shard_;
  Shard::Effects answers_;
  std::vector<std::unique_ptr<ClientCore>> clients_;
  std::vector<ClientCore::Effects> requests_;
  std::vector<std::pair<std::uint32_t, Message>> waiting_;
  std::shared_ptr<const Floats> gradient_;
  Message at_server_;
  Message received_;
  std::string header_;
  std::size_t server_ = 0;
  std::size_t workers_ = 0;
};

/// Allocations of an iteration, each of which is of `workers` requests and as many answers.
void check_steady(std::uint32_t block_elements, std::uint32_t workers, std::size_t server_max,
                  std::size_t per_worker_max, const Compression& compression = {}) {
  CAPTURE(block_elements, workers, compression.gradients, compression.lz4);
  JobSpec job = small_job();
  job.compression = compression;
  job.tensors = {{"weights", {784}, {1.0F}}, {"bias", {1}, {5.0F}}};
  job.block_elements = block_elements;
  job.workers = workers;
  job.slices = workers;
  job.iterations = Iteration{1000};
  Training training(job, workers);
  training.train_to(20);
  const Counted before = training.counted();
  training.train_to(120);
  const Counted after = training.counted();
  CHECK(static_cast<double>(after.server - before.server) / 100 <= static_cast<double>(server_max));
  CHECK(static_cast<double>(after.workers - before.workers) / 100 <= static_cast<double>(per_worker_max * workers));
}

TEST_CASE("at a steady pace a server asks for no memory, and a worker for two lists of blocks per request") {
  // One list is in the request that the worker keeps to repeat it, and one in the message that goes out.
  check_steady(1024, 1, 0, 2);  // one message of two blocks
  check_steady(256, 1, 0, 2);   // of five
  check_steady(256, 3, 0, 2);
}

TEST_CASE("compression asks for no memory either") {
  check_steady(1024, 2, 0, 2, {Encoding::float16, Encoding::bfloat16, 1.0, false});
  check_steady(256, 2, 0, 2, {Encoding::float32, Encoding::float32, 1.0, true});
  check_steady(256, 3, 0, 2, {Encoding::bfloat16, Encoding::float16, 1.0, true});
}

}  // namespace
}  // namespace ringps
