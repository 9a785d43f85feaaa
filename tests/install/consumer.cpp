// The smallest program that uses the installed library. It is built without any of the project's own flags.
#include <cstdio>
#include <libps/ring/ring.hpp>

int main() {
  const ringps::Ring ring({"server0", "server1", "server2"}, 100);
  for (const auto server : ring.replicas("fc_weights.0", 2)) {
    std::printf("server%u holds fc_weights.0\n", server);
  }
}
