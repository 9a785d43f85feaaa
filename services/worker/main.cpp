#include "libps/worker/built_in.hpp"
#include "libps/worker/worker_main.hpp"

int main(int argc, char** argv) {
  return ringps::worker_main(argc, argv, ringps::make_built_in_model);
}
