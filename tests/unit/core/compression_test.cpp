// Compressed payloads at both ends: a shard that takes gradients and answers with weights, and workers that send and
// take them.
#include <cmath>
#include <limits>

#include "libps/core/client.hpp"
#include "libps/wire/compression.hpp"
#include "tests/unit/core/shard_support.hpp"

namespace ringps {
namespace {

JobSpec compressed(Encoding gradients, Encoding weights, bool lz4 = false, double keep = 1.0) {
  JobSpec job = small_job();
  job.compression = {gradients, weights, keep, lz4};
  return job;
}

/// Blocks of 2, 2 and 2 elements, as small_job() has them.
PayloadCoder::Encoded encoded(const std::vector<float>& values, Encoding encoding, bool pack = false) {
  PayloadCoder coder;
  const std::span<const float> all(values);
  const std::vector<std::span<const float>> blocks{all.subspan(0, 2), all.subspan(2, 2), all.subspan(4, 2)};
  return coder.encode(blocks, encoding, pack);
}

class CompressedShard : public ShardTest {
 public:
  explicit CompressedShard(JobSpec spec) : ShardTest(std::move(spec)) { view(make_view(job, 1, 1, 2)); }

  Message with(std::uint32_t slice, const PayloadCoder::Encoded& values) const {
    Message message = push(1, slice, 0);
    std::get<PushPull>(message.body).format = values.format;
    message.payload = values.payload;
    return message;
  }
};

const std::vector<float> third(6, 1.0F / 3);

TEST_CASE("a shard applies what a gradient in 16 bits says, and answers with weights in 16 bits") {
  const Encoding encoding = GENERATE(Encoding::float16, Encoding::bfloat16);
  CompressedShard t(compressed(encoding, encoding));
  t.say(t.with(0, encoded(third, encoding)));
  CHECK(t.replies().empty());
  t.say(t.with(1, encoded(third, encoding)));
  const auto replies = t.replies();
  REQUIRE(replies.size() == 2);
  const float gradient = rounded(1.0F / 3, encoding);
  CHECK(t.shard.observe()[0].current[0] == 1.0F - gradient);  // a rate of 1, and the weights themselves are float32
  const auto& values = std::get<Values>(replies[0].message.body);
  CHECK(values.format == PayloadFormat{encoding, false});
  PayloadCoder coder;
  const auto decoded = coder.decode(replies[0].message.payload, values.format, std::vector<std::uint32_t>{2, 2, 2});
  REQUIRE(decoded.ok());
  CHECK(floats_of(*decoded)[0] == rounded(1.0F - gradient, encoding));
  CHECK(floats_of(*decoded)[5] == rounded(5.0F - gradient, encoding));
  CHECK(replies[1].message.payload.data() == replies[0].message.payload.data());  // encoded once for both
}

TEST_CASE("a shard takes packed payloads where the job packs, and plain ones that packing would not make smaller") {
  JobSpec job = compressed(Encoding::float32, Encoding::float32, true);
  job.tensors = {{"a", {400}, {1.0F, 1.0F}}};
  job.block_elements = 400;
  ShardTest t(job);
  t.view(make_view(t.job, 1, 1, 2));
  const std::vector<float> values(400, 0.5F);
  const std::span<const float> all(values);
  PayloadCoder coder;
  auto packed = coder.encode(std::span(&all, 1), Encoding::float32, true);
  REQUIRE(packed.format.packed);
  t.say({t.envelope("worker0", 1, 1), PushPull{Iteration{1}, SliceId{0}, {{0, 0, 1}}, packed.format}, packed.payload});
  t.say({t.envelope("worker1", 2, 1), PushPull{Iteration{1}, SliceId{1}, {{0, 0, 1}}}, payload_of(values)});
  REQUIRE(t.replies().size() == 2);
  const Message answer = t.replies()[0].message;
  CHECK(std::get<Values>(answer.body).format.packed);
  const auto decoded =
      coder.decode(answer.payload, std::get<Values>(answer.body).format, std::vector<std::uint32_t>{400});
  REQUIRE(decoded.ok());
  CHECK(floats_of(*decoded) == values);  // 1 - 0.5
}

TEST_CASE("a gradient in another format than the job's is refused, and changes nothing") {
  CompressedShard plain(small_job());
  plain.say(plain.with(0, encoded(third, Encoding::float16)));
  CHECK(plain.refusal().reason == RefusalReason::malformed);
  CHECK_THAT(plain.refusal().text, Catch::Contains("those of this job are in 0"));
  plain.say(plain.with(0, {payload_of(third), {Encoding::float32, true}}));
  CHECK(plain.refusal().reason == RefusalReason::malformed);
  CompressedShard halves(compressed(Encoding::float16, Encoding::float32));
  halves.say(halves.with(0, encoded(third, Encoding::float32)));
  CHECK(halves.refusal().reason == RefusalReason::malformed);
  halves.say(halves.with(0, encoded(third, Encoding::bfloat16)));
  CHECK(halves.refusal().reason == RefusalReason::malformed);
  CHECK(halves.shard.load().kept == 0);
}

TEST_CASE("a payload that is not what its header says is refused with what is wrong") {
  CompressedShard halves(compressed(Encoding::float16, Encoding::float32));
  halves.say(halves.with(0, {payload_of({1.0F}), {Encoding::float16, false}}));
  CHECK(halves.refusal().reason == RefusalReason::malformed);
  CHECK_THAT(halves.refusal().text, Catch::Contains("4 bytes for 6 elements of 2 bytes"));
  CompressedShard packed(compressed(Encoding::float32, Encoding::float32, true));
  packed.say(packed.with(0, {payload_of({1.0F}), {Encoding::float32, true}}));
  CHECK_THAT(packed.refusal().text, Catch::Contains("not LZ4"));
  CHECK(packed.shard.load().kept == 0);
  CHECK(packed.shard.counters().refused == 1);
}

TEST_CASE("infinity in 16 bits is refused as infinity, and what is too large for them is not") {
  CompressedShard t(compressed(Encoding::float16, Encoding::float32));
  t.say(t.with(1, encoded({1, 1, 1, 1, 1, 1}, Encoding::float16)));
  t.say(t.with(0, encoded({1, 1, std::numeric_limits<float>::infinity(), 1, 1, 1}, Encoding::float16)));
  CHECK(t.refusal().reason == RefusalReason::not_finite);
  CHECK_THAT(t.refusal().text, Catch::Contains("tensor 'a': element 2"));
  t.say(t.with(0, encoded({1, 1, 1e9F, 1, 1, 1}, Encoding::float16)));
  CHECK(t.replies().size() == 2);
}

// ---- workers --------------------------------------------------------------------------------------------------------

/// worker0 with a shard behind it that the test plays.
class CompressedClient {
 public:
  explicit CompressedClient(JobSpec spec) : job(std::move(spec)), client(job, {"worker0"}, Incarnation{1}) {
    client.on_view(now, make_view(job, 1, 1, 1), effects);
  }

  ClientCore::Send take() {
    const auto sent = all<ClientCore::Send>(effects);
    REQUIRE(!sent.empty());
    effects.clear();
    return sent[0];
  }
  void answer(const ClientCore::Send& request, Body body, const Payload& payload = {}) {
    client.on_message(now,
                      {{"test", Role::server, "server0", Incarnation{1}, Epoch{1}, request.message.envelope.request},
                       std::move(body),
                       payload},
                      effects);
  }
  void answer(const ClientCore::Send& request, std::uint64_t version, const PayloadCoder::Encoded& values) {
    answer(request, Values{Iteration{version}, {}, values.format}, values.payload);
  }

  const JobSpec job;
  Time now = start_time;
  ClientCore client;
  ClientCore::Effects effects;
};

TEST_CASE("a worker computes from the weights as they come over, and sends its gradient in the job's format") {
  CompressedClient t(compressed(Encoding::bfloat16, Encoding::float16));
  t.answer(t.take(), 0, encoded(third, Encoding::float16));
  const auto task = t.client.next_task();
  REQUIRE(task);
  CHECK((*task->weights)[0] == rounded(1.0F / 3, Encoding::float16));
  CHECK(t.client.traffic().weights == 12);
  CHECK(t.client.traffic().weights_float32 == 24);
  t.effects.clear();
  t.client.contribute(t.now, *task, std::make_shared<const Floats>(task->weights->size(), 1.0F / 3), t.effects);
  const auto push = t.take();
  CHECK(std::get<PushPull>(push.message.body).format == PayloadFormat{Encoding::bfloat16, false});
  CHECK(push.message.payload.size() == 12);
  CHECK(t.client.traffic().gradients == 12);
  CHECK(t.client.traffic().gradients_float32 == 24);
  t.now += std::chrono::seconds(1);
  t.client.on_tick(t.now, t.effects);
  const auto question = t.take();
  CHECK(question.message.payload.empty());
  CHECK(t.client.traffic().gradients == 12);
  t.answer(question, Missing{Iteration{1}, {SliceId{0}}});  // the same again
  CHECK(t.take().message.payload.data() == push.message.payload.data());
  CHECK(t.client.traffic().gradients == 24);
}

TEST_CASE("a worker takes no answer in another format than the job's, or that is damaged") {
  CompressedClient t(compressed(Encoding::float32, Encoding::float16));
  const auto pull = t.take();
  t.answer(pull, 0, encoded(third, Encoding::float32));
  t.answer(pull, 0, encoded(third, Encoding::bfloat16));
  t.answer(pull, 0, {payload_of({1.0F}), {Encoding::float16, false}});
  t.answer(pull, 0, {payload_of({1.0F}), {Encoding::float16, true}});
  CHECK_FALSE(t.client.next_task());
  t.answer(pull, 0, encoded(third, Encoding::float16));
  CHECK(t.client.next_task());
}

}  // namespace
}  // namespace ringps
