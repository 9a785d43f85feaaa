#include "libps/net/peers.hpp"

#include <algorithm>
#include <utility>

namespace ringps {

Peers::Peers(zmq::context_t& context, EventLoop& loop, Queues queues)
    : context_(context), loop_(loop), queues_(queues) {}

Peers::~Peers() {
  for (const Peer& peer : peers_) {
    let_go(peer);
  }
}

void Peers::let_go(const Peer& peer) {
  if (peer.socket) {
    loop_.remove(*peer.socket);
    loop_.remove(peer.socket->disconnection_descriptor());
  }
}

void Peers::follow(const View& view, std::string_view self) {
  if (std::exchange(epoch_, view.epoch) == view.epoch) {
    return;
  }
  std::vector<Peer> before = std::exchange(peers_, {});
  for (const ServerMember& server : view.servers) {
    const auto same = std::find_if(before.begin(), before.end(), [&](const Peer& peer) {
      return peer.server.id == server.id && peer.server.incarnation == server.incarnation;
    });
    if (same != before.end()) {
      peers_.push_back({server, std::move(same->socket), std::move(same->news)});
      continue;
    }
    Peer& peer = peers_.emplace_back(Peer{server, nullptr, std::make_shared<News>()});
    if (server.id.value != self) {
      peer.socket = std::make_unique<DealerSocket>(context_, server.endpoint, queues_);
      loop_.add(*peer.socket, [raw = peer.socket.get(), news = peer.news] {
        raw->flush();
        news->ready = true;
      });
      loop_.add(peer.socket->disconnection_descriptor(), [raw = peer.socket.get(), news = peer.news] {
        news->broken = raw->take_disconnected() || news->broken;
      });
    }
  }
  for (const Peer& gone : before) {
    let_go(gone);
  }
}

void Peers::send(std::uint32_t server, Message message) {
  peers_[server].socket->send(std::move(message));
}

bool Peers::receive(Message& message, const OnMalformed& on_malformed) {
  for (Peer& peer : peers_) {
    if (peer.news->ready) {
      if (peer.socket->receive(message, on_malformed)) {
        return true;
      }
      peer.news->ready = false;
    }
  }
  return false;
}

std::vector<ServerMember> Peers::take_broken() {
  std::vector<ServerMember> broken;
  for (const Peer& peer : peers_) {
    if (std::exchange(peer.news->broken, false)) {
      broken.push_back(peer.server);
    }
  }
  return broken;
}

}  // namespace ringps
