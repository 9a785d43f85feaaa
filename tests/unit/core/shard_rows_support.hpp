// A shard of one server with a table, and what two workers say of its rows.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "libps/core/row_batch.hpp"
#include "libps/rows/row_list.hpp"
#include "tests/unit/core/shard_support.hpp"

namespace ringps {

inline JobSpec job_with_table(std::uint64_t rows_per_server = 1000) {
  JobSpec job = small_job();
  TableSpec table;
  table.name = "rows";
  table.width = 2;
  table.buckets = 1;
  table.rows_per_server = rows_per_server;
  job.tables = {table};
  return job;
}

inline View view_of(const JobSpec& job) {
  View view = make_view(job, 1, 1, 2);
  view.placement_digest =
      Placement(view, BlockTable(job.tensors, job.block_elements, job.tables), job.virtual_nodes, job.replicas)
          .digest();
  return view;
}

class RowsTest : public ShardTest {
 public:
  explicit RowsTest(JobSpec spec = job_with_table()) : ShardTest(std::move(spec)) {
    view(view_of(job));
    effects.clear();
  }

  Payload list(const std::vector<std::uint64_t>& ids, const std::vector<float>& values) const {
    std::vector<float> words(RowList::bytes(ids.size(), 0) / sizeof(float));
    std::byte* to = RowList::begin(std::as_writable_bytes(std::span(words)).data(), ids.size());
    if (!ids.empty()) {
      std::memcpy(to, ids.data(), ids.size() * sizeof(std::uint64_t));
    }
    words.insert(words.end(), values.begin(), values.end());
    return payload_of(words);
  }
  Message push_rows(std::uint64_t iteration, std::uint32_t slice, const Payload& payload) const {
    return {envelope("worker" + std::to_string(slice), 1000 * iteration + slice, 1),
            PushRows{Iteration{iteration}, SliceId{slice}, {{2, 0, 1}}}, payload};
  }
  Message pull_rows(std::uint64_t iteration, const std::vector<std::uint64_t>& ids, std::uint32_t slice = 0) const {
    return {envelope("worker" + std::to_string(slice), 5000 + iteration, 1),
            PullRows{Iteration{iteration}, {{2, 0, 1}}, SliceId{slice}}, list(ids, {})};
  }
};

}  // namespace ringps
