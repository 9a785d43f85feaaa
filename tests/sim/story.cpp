#include "tests/sim/story.hpp"

#include <algorithm>
#include <sstream>
#include <type_traits>

namespace ringps::sim {
namespace {

class Words {
 public:
  explicit Words(std::ostringstream& stream) : out(stream) {}

  void operator()(const Push& m) { out << "Push iteration " << m.iteration.value << " slice " << m.slice.value; }
  void operator()(const PushRows& m) {
    out << "PushRows iteration " << m.iteration.value << " slice " << m.slice.value;
  }
  void operator()(const PullRows& m) {
    out << "PullRows ";
    m.iteration == newest_version ? out << "newest" : out << "version " << m.iteration.value;
    out << " for slice " << m.slice.value;
  }
  void operator()(const PushPull& m) {
    out << "PushPull iteration " << m.iteration.value << " slice " << m.slice.value;
  }
  void operator()(const Pull& m) {
    out << (m.want_values ? "Pull " : "Pull (word only) ");
    m.iteration == newest_version ? out << "newest" : out << "version " << m.iteration.value;
  }
  void operator()(const AskMissing& m) { out << "AskMissing of iteration " << m.iteration.value; }
  void operator()(const Missing& m) {
    out << "Missing of iteration " << m.iteration.value << ':';
    for (const SliceId slice : m.slices) {
      out << ' ' << slice.value;
    }
  }
  void operator()(const Values& m) {
    out << "Values of version " << m.iteration.value;
    for (std::size_t slice = 0; slice < m.clocks.size(); ++slice) {
      out << (slice == 0 ? ", clocks " : " ") << m.clocks[slice].value;
    }
  }
  void operator()(const Ack& m) { out << "Ack " << m.iteration.value; }
  void operator()(const Stale& m) { out << "Stale: " << describe(m.view); }
  void operator()(const Refused& m) { out << "Refused: " << m.text; }
  void operator()(const Replicate& m) {
    out << "Replicate " << m.iteration.value << " ticket " << m.ticket.value << " to " << m.position << " of "
        << m.chain.size() << ", " << blocks(m.runs) << " blocks";
    for (std::size_t s = 0; s < m.slices.size(); ++s) {
      out << (s == 0 ? ", slices " : " ") << m.slices[s].value;
    }
  }
  void operator()(const ReplicateAck& m) { out << "ReplicateAck ticket " << m.ticket.value; }
  void operator()(const Compare& m) { out << "Compare " << blocks(m.runs) << " blocks, ticket " << m.ticket.value; }
  void operator()(const Compared& m) {
    out << "Compared ticket " << m.ticket.value << ':';
    for (const Iteration version : m.versions) {
      version == no_version ? out << " none" : out << ' ' << version.value;
    }
  }
  void operator()(const Handoff& m) {
    out << "Handoff ticket " << m.ticket.value << ", " << m.blocks.size() << " blocks, the first of version "
        << (m.blocks.empty() ? 0 : m.blocks.front().version.value);
  }
  void operator()(const HandoffAck& m) { out << "HandoffAck ticket " << m.ticket.value; }
  void operator()(const ReplicasReady& m) { out << "ReplicasReady in epoch " << m.epoch.value; }
  void operator()(const Drain& m) { out << "Drain " << m.id; }
  void operator()(const AddProcesses& m) { out << "AddProcesses " << m.count; }
  void operator()(const KillProcess& m) { out << "KillProcess " << m.id; }
  void operator()(const Join&) { out << "Join"; }
  void operator()(const Heartbeat& m) { out << "Heartbeat iteration " << m.iteration.value << ' ' << m.waiting_for; }
  void operator()(const GetView&) { out << "GetView"; }
  void operator()(const Leave&) { out << "Leave"; }
  void operator()(const Suspect& m) { out << "Suspect " << m.server.value; }
  void operator()(const BlocksWritten& m) { out << "BlocksWritten " << m.iteration.value; }
  void operator()(const CheckpointMissed& m) {
    out << "CheckpointMissed " << m.iteration.value << ", reached " << m.reached.value;
  }
  void operator()(const Progress& m) {
    out << "Progress: " << m.timings.size() << " timings, " << m.evaluations.size() << " evaluations";
  }
  void operator()(const GetStatus&) { out << "GetStatus"; }
  void operator()(const Failed& m) { out << "Failed: " << m.text; }
  void operator()(const StopRun& m) { out << "StopRun: " << m.cause; }
  void operator()(const Joined&) { out << "Joined"; }
  void operator()(const HeartbeatAnswer& m) {
    out << "HeartbeatAnswer committed " << m.committed_checkpoint.value << " next " << m.next_checkpoint.value
        << " timings " << m.timings_through.value << " evaluations " << m.evaluations_through.value;
  }
  void operator()(const ViewAnswer& m) { out << "ViewAnswer: " << describe(m.view); }
  void operator()(const Probe&) { out << "Probe"; }
  void operator()(const Status& m) { out << "Status: " << m.text; }
  void operator()(const ViewPublished& m) { out << "ViewPublished: " << describe(m.view); }
  void operator()(const CheckpointBegin& m) { out << "CheckpointBegin " << m.iteration.value; }
  void operator()(const CheckpointCommitted& m) { out << "CheckpointCommitted " << m.iteration.value; }
  void operator()(const Stop& m) { out << "Stop: " << m.cause; }

 private:
  std::ostringstream& out;

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
