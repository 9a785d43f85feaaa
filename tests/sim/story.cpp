#include "tests/sim/story.hpp"

#include <algorithm>
#include <sstream>
#include <type_traits>

namespace ringps::sim {
namespace {

class Words {
 public:
  explicit Words(std::ostringstream& stream) : out_(stream) {}

  void operator()(const Push& m) { out_ << "Push iteration " << m.iteration.value << " slice " << m.slice.value; }
  void operator()(const PushRows& m) {
    out_ << "PushRows iteration " << m.iteration.value << " slice " << m.slice.value;
  }
  void operator()(const PullRows& m) {
    out_ << "PullRows ";
    m.iteration == newest_version ? out_ << "newest" : out_ << "version " << m.iteration.value;
    out_ << " for slice " << m.slice.value;
  }
  void operator()(const PushPull& m) {
    out_ << "PushPull iteration " << m.iteration.value << " slice " << m.slice.value;
  }
  void operator()(const Pull& m) {
    out_ << (m.want_values ? "Pull " : "Pull (word only) ");
    m.iteration == newest_version ? out_ << "newest" : out_ << "version " << m.iteration.value;
  }
  void operator()(const AskMissing& m) { out_ << "AskMissing of iteration " << m.iteration.value; }
  void operator()(const Missing& m) {
    out_ << "Missing of iteration " << m.iteration.value << ':';
    for (const SliceId slice : m.slices) {
      out_ << ' ' << slice.value;
    }
  }
  void operator()(const Values& m) {
    out_ << "Values of version " << m.iteration.value;
    for (std::size_t slice = 0; slice < m.clocks.size(); ++slice) {
      out_ << (slice == 0 ? ", clocks " : " ") << m.clocks[slice].value;
    }
  }
  void operator()(const Ack& m) { out_ << "Ack " << m.iteration.value; }
  void operator()(const Stale& m) { out_ << "Stale: " << describe(m.view); }
  void operator()(const Refused& m) { out_ << "Refused: " << m.text; }
  void operator()(const Replicate& m) {
    out_ << "Replicate " << m.iteration.value << " ticket " << m.ticket.value << " to " << m.position << " of "
         << m.chain.size() << ", " << blocks(m.runs) << " blocks";
    for (std::size_t s = 0; s < m.slices.size(); ++s) {
      out_ << (s == 0 ? ", slices " : " ") << m.slices[s].value;
    }
  }
  void operator()(const ReplicateAck& m) { out_ << "ReplicateAck ticket " << m.ticket.value; }
  void operator()(const Compare& m) { out_ << "Compare " << blocks(m.runs) << " blocks, ticket " << m.ticket.value; }
  void operator()(const Compared& m) {
    out_ << "Compared ticket " << m.ticket.value << ':';
    for (const Iteration version : m.versions) {
      version == no_version ? out_ << " none" : out_ << ' ' << version.value;
    }
  }
  void operator()(const Handoff& m) {
    out_ << "Handoff ticket " << m.ticket.value << ", " << m.blocks.size() << " blocks, the first of version "
         << (m.blocks.empty() ? 0 : m.blocks.front().version.value);
  }
  void operator()(const HandoffAck& m) { out_ << "HandoffAck ticket " << m.ticket.value; }
  void operator()(const ReplicasReady& m) { out_ << "ReplicasReady in epoch " << m.epoch.value; }
  void operator()(const Drain& m) { out_ << "Drain " << m.id; }
  void operator()(const AddProcesses& m) { out_ << "AddProcesses " << m.count; }
  void operator()(const KillProcess& m) { out_ << "KillProcess " << m.id; }
  void operator()(const Join&) { out_ << "Join"; }
  void operator()(const Heartbeat& m) { out_ << "Heartbeat iteration " << m.iteration.value << ' ' << m.waiting_for; }
  void operator()(const GetView&) { out_ << "GetView"; }
  void operator()(const Leave&) { out_ << "Leave"; }
  void operator()(const Suspect& m) { out_ << "Suspect " << m.server.value; }
  void operator()(const BlocksWritten& m) { out_ << "BlocksWritten " << m.iteration.value; }
  void operator()(const CheckpointMissed& m) {
    out_ << "CheckpointMissed " << m.iteration.value << ", reached " << m.reached.value;
  }
  void operator()(const Progress& m) {
    out_ << "Progress: " << m.timings.size() << " timings, " << m.evaluations.size() << " evaluations";
  }
  void operator()(const GetStatus&) { out_ << "GetStatus"; }
  void operator()(const Failed& m) { out_ << "Failed: " << m.text; }
  void operator()(const StopRun& m) { out_ << "StopRun: " << m.cause; }
  void operator()(const Joined&) { out_ << "Joined"; }
  void operator()(const HeartbeatAnswer& m) {
    out_ << "HeartbeatAnswer committed " << m.committed_checkpoint.value << " next " << m.next_checkpoint.value
         << " timings " << m.timings_through.value << " evaluations " << m.evaluations_through.value;
  }
  void operator()(const ViewAnswer& m) { out_ << "ViewAnswer: " << describe(m.view); }
  void operator()(const Probe&) { out_ << "Probe"; }
  void operator()(const Status& m) { out_ << "Status: " << m.text; }
  void operator()(const ViewPublished& m) { out_ << "ViewPublished: " << describe(m.view); }
  void operator()(const CheckpointBegin& m) { out_ << "CheckpointBegin " << m.iteration.value; }
  void operator()(const CheckpointCommitted& m) { out_ << "CheckpointCommitted " << m.iteration.value; }
  void operator()(const Stop& m) { out_ << "Stop: " << m.cause; }

 private:
  std::ostringstream& out_;

  static std::uint64_t blocks(const std::vector<BlockRun>& runs) {
    std::uint64_t count = 0;
    for (const BlockRun& run : runs) {
      count += run.count;
    }
    return count;
  }
};

}  // namespace

std::string describe(const Message& message) {
  std::ostringstream out;
  std::visit(Words{out}, message.body);
  out << ", epoch " << message.envelope.epoch.value;
  if (message.envelope.request.value != 0) {
    out << ", request " << message.envelope.request.value;
  }
  return out.str();
}

std::string describe(const View& view) {
  std::ostringstream out;
  out << "epoch " << view.epoch.value << " [";
  for (const ServerMember& server : view.servers) {
    const bool settled = std::find(view.settled_ring.begin(), view.settled_ring.end(),
                                   RingMember{server.id, server.incarnation}) != view.settled_ring.end();
    out << (settled ? "" : "+") << (server.stays ? "" : "-") << server.id.value << ' ';
  }
  out << '|';
  for (const WorkerMember& worker : view.workers) {
    out << ' ' << worker.id.value;
  }
  out << "] from iteration " << view.restore.iteration.value << " of epoch " << view.restore.epoch.value << ": "
      << view.cause;
  return out.str();
}

}  // namespace ringps::sim
