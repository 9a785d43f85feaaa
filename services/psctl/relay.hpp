// Leads the TCP connections of a run's processes, so that they can be cut and slowed: a SOCKS 5 proxy for each process
// that connects to others, on this host. Who is spoken to follows from the endpoint.
//
// A cut is that of a cable: both ends stay connected, and what is on its way waits. A connection that ends meanwhile
// ends for the other side when it is healed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "libps/base/result.hpp"
#include "services/psctl/link_fault.hpp"

namespace ringps {

/// Thread-safe; works on a thread of its own.
class Relay {
 public:
  static Result<std::unique_ptr<Relay>> start();
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  /// The proxy, as HOST:PORT, through which the process `id` is to connect. The same one for every life of it.
  Result<std::string> proxy_for(const std::string& id);
  /// Whoever listens at `endpoint` is `id`.
  void name(const std::string& endpoint, const std::string& id);
  /// In place of those before.
  void set_faults(std::vector<LinkFault> faults);

 private:
  class Impl;
  explicit Relay(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringps
