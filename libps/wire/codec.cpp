#include "libps/wire/codec.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <msgpack.hpp>
#include <type_traits>

#include "libps/wire/limits.hpp"

namespace ringps {
namespace {

// One description of each struct, its fields(), serves both directions; the templates below know how a type is written.

template <class T>
concept Composite = requires(T& value) {
  T::fields(value);
};

template <class T>
concept StrongNumber = requires {
  typename T::rep;
};

template <class T>
struct IsList : std::false_type {};
template <class T>
struct IsList<std::vector<T>> : std::true_type {};
template <class T>
struct IsName : std::false_type {};
template <class Tag>
struct IsName<Name<Tag>> : std::true_type {};

// ---- writing --------------------------------------------------------------------------------------------------------

struct StringBuffer {
  void write(const char* bytes, std::size_t count) { text.append(bytes, count); }
  std::string& text;
};

using Packer = msgpack::packer<StringBuffer>;

template <class T>
void write(Packer& out, const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    out.pack_str(static_cast<std::uint32_t>(value.size()));
    out.pack_str_body(value.data(), static_cast<std::uint32_t>(value.size()));
  } else if constexpr (IsName<T>::value) {
    write(out, value.value);
  } else if constexpr (std::is_same_v<T, bool>) {
    value ? out.pack_true() : out.pack_false();
  } else if constexpr (std::is_enum_v<T>) {
    out.pack_uint64(static_cast<std::uint64_t>(value));
  } else if constexpr (std::is_same_v<T, double>) {
    out.pack_double(value);
  } else if constexpr (StrongNumber<T>) {
    out.pack_uint64(value.value);
  } else if constexpr (std::is_unsigned_v<T>) {
    out.pack_uint64(value);
  } else if constexpr (IsList<T>::value) {
    out.pack_array(static_cast<std::uint32_t>(value.size()));
    for (const auto& entry : value) {
      write(out, entry);
    }
  } else {
    static_assert(Composite<const T>);
    std::apply(
        [&](const auto&... field) {
          out.pack_array(sizeof...(field));
          (write(out, field), ...);
        },
        T::fields(value));
  }
}

// ---- reading --------------------------------------------------------------------------------------------------------

/// Walks over the bytes of a header. Takes the types that the packer above writes, in any of their lengths, and refuses
/// whatever is cut off or beyond limits.hpp before anything is done with it. It asks for no memory: how deep lists lie
/// in each other follows from what is read.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  std::size_t rest() const { return bytes_.size(); }

  bool list(std::uint32_t& entries) {
    std::uint64_t count = 0;
    if (!length(0x90, 0x0F, 0xDC, 2, count) || count > limits::list_entries_max || count > rest()) {
      return false;  // every entry has a byte at least
    }
    entries = static_cast<std::uint32_t>(count);
    return true;
  }

  bool text(std::string& to) {
    std::uint64_t count = 0;
    if (!length(0xA0, 0x1F, 0xD9, 1, count) || count > limits::text_bytes_max || count > rest()) {
      return false;
    }
    to.assign(bytes_.data(), count);
    bytes_.remove_prefix(count);
    return true;
  }

  bool boolean(bool& to) {
    const int first = take();
    to = first == 0xC3;
    return first == 0xC2 || first == 0xC3;
  }

  bool number(std::uint64_t max, std::uint64_t& to) {
    bool negative = false;
    return integer(take(), to, negative) && !negative && to <= max;
  }

  bool real(double& to) {
    const int first = take();
    std::uint64_t bits = 0;
    bool negative = false;
    if (first == 0xCB) {
      const bool whole = big_endian(sizeof bits, bits);
      to = std::bit_cast<double>(bits);
      return whole;
    }
    if (!integer(first, bits, negative)) {  // that is how msgpack writes whole numbers
      return false;
    }
    to = negative ? static_cast<double>(static_cast<std::int64_t>(bits)) : static_cast<double>(bits);
    return true;
  }

 private:
  /// The next byte; -1 at the end.
  int take() {
    if (bytes_.empty()) {
      return -1;
    }
    const auto byte = static_cast<unsigned char>(bytes_.front());
    bytes_.remove_prefix(1);
    return byte;
  }

  bool big_endian(std::size_t count, std::uint64_t& to) {
    if (count > rest()) {
      return false;
    }
    to = 0;
    for (const char byte : bytes_.substr(0, count)) {
      to = (to << 8U) | static_cast<unsigned char>(byte);
    }
    bytes_.remove_prefix(count);
    return true;
  }

  /// A length: within the first byte (`fixed`, of which `mask` are the length's bits), or in the bytes after it, of
  /// which `wide` and what follows it announce `bytes`, twice as many, and so on to four.
  bool length(int fixed, int mask, int wide, std::size_t bytes, std::uint64_t& to) {
    const int first = take();
    if (first >= 0 && (first & ~mask) == fixed) {
      to = static_cast<std::uint64_t>(first & mask);
      return true;
    }
    for (; bytes <= 4; bytes *= 2, ++wide) {
      if (first == wide) {
        return big_endian(bytes, to);
      }
    }
    return false;
  }

  bool integer(int first, std::uint64_t& to, bool& negative) {
    negative = false;
    if (first >= 0 && first <= 0x7F) {
      to = static_cast<std::uint64_t>(first);
      return true;
    }
    if (first >= 0xE0) {
      negative = true;
      to = static_cast<std::uint64_t>(first - 0x100);
      return true;
    }
    if (first >= 0xCC && first <= 0xCF) {
      return big_endian(std::size_t{1} << static_cast<unsigned>(first - 0xCC), to);
    }
    if (first >= 0xD0 && first <= 0xD3) {
      const std::size_t count = std::size_t{1} << static_cast<unsigned>(first - 0xD0);
      if (!big_endian(count, to)) {
        return false;
      }
      const auto unused = static_cast<unsigned>(8 * (sizeof to - count));
      to = static_cast<std::uint64_t>(static_cast<std::int64_t>(to << unused) >> unused);
      negative = static_cast<std::int64_t>(to) < 0;
      return true;
    }
    return false;
  }

  std::string_view bytes_;
};

/// What whoever uses a view relies on.
bool consistent(const View& view) {
  const bool known_workers = std::all_of(view.slice_worker.begin(), view.slice_worker.end(), [&](std::uint32_t worker) {
    return worker < view.workers.size() || worker == no_worker;
  });
  return known_workers && (view.epoch.value == 0 || (!view.servers.empty() && !view.settled_ring.empty()));
}

template <class T>
bool read(Reader& in, T& to);

/// The fields of a struct, one after another.
template <class T>
bool read_fields(Reader& in, T& to) {
  return std::apply([&](auto&... field) { return (read(in, field) && ...); }, T::fields(to));
}

template <class T>
constexpr std::size_t field_count = std::tuple_size_v<decltype(T::fields(std::declval<T&>()))>;

/// The longest text that a field may have: identifiers are short, everything else is prose or a path. Both are bounded
/// by the reader; names are bounded again where they are used as keys (see decode). Lists keep the memory that they
/// have.
template <class T>
bool read(Reader& in, T& to) {
  if constexpr (std::is_same_v<T, std::string>) {
    return in.text(to);
  } else if constexpr (IsName<T>::value) {
    return in.text(to.value) && to.value.size() <= limits::name_bytes_max;
  } else if constexpr (std::is_same_v<T, bool>) {
    return in.boolean(to);
  } else if constexpr (std::is_enum_v<T>) {
    std::uint64_t number = 0;
    const bool fits = in.number(std::numeric_limits<std::underlying_type_t<T>>::max(), number);
    to = static_cast<T>(number);
    return fits;
  } else if constexpr (std::is_same_v<T, double>) {
    return in.real(to);
  } else if constexpr (StrongNumber<T>) {
    return read(in, to.value);
  } else if constexpr (std::is_unsigned_v<T>) {
    std::uint64_t number = 0;
    const bool fits = in.number(std::numeric_limits<T>::max(), number);
    to = static_cast<T>(number);
    return fits;
  } else if constexpr (IsList<T>::value) {
    to.clear();
    std::uint32_t entries = 0;
    if (!in.list(entries)) {
      return false;
    }
    for (std::uint32_t i = 0; i < entries; ++i) {  // one by one: a false entry must not cost a whole list
      if (!read(in, to.emplace_back())) {
        return false;
      }
    }
    return true;
  } else {
    static_assert(Composite<T>);
    std::uint32_t entries = 0;
    const bool complete = in.list(entries) && entries == field_count<T> && read_fields(in, to);
    if constexpr (std::is_same_v<T, View>) {
      return complete && consistent(to);
    } else if constexpr (std::is_same_v<T, PayloadFormat>) {
      return complete && to.encoding <= Encoding::top_k;
    }
    return complete;
  }
}

/// Enumerations from the network may hold any number; those that code switches on are checked here.
bool known(Role role) {
  return role <= Role::control;
}

/// Whether a message's payload is something else than floats. What it has to be, its receiver knows.
bool is_encoded(const Body& body) {
  return std::visit(
      []<class T>(const T& kind) {
        if constexpr (requires { kind.format; }) {
          return !kind.format.is_plain();
        }
        return false;
      },
      body);
}

/// What is read from `bytes` has to fill them exactly.
template <class Use>
auto read_all(std::string_view bytes, const Use& use) -> decltype(use(std::declval<Reader&>())) {
  if (bytes.size() > limits::header_bytes_max) {
    return Error{"header of " + std::to_string(bytes.size()) + " bytes; at most " +
                 std::to_string(limits::header_bytes_max) + " are allowed"};
  }
  Reader in(bytes);
  auto result = use(in);
  if (result.ok() && in.rest() != 0) {
    return Error{"header with " + std::to_string(in.rest()) + " bytes after its end"};
  }
  return result;
}

constexpr std::size_t fields_before_body = 2 + field_count<Envelope>;

/// `entries`: fields of the body that the header announces.
template <std::size_t... I>
Result<void> read_body(Reader& in, Kind kind, std::size_t entries, Body& body, std::index_sequence<I...>) {
  bool complete = false;
  const auto attempt = [&]<class T>(std::in_place_type_t<T>) {
    if (T::kind != kind) {
      return false;
    }
    T* same = std::get_if<T>(&body);
    T& to = same != nullptr ? *same : body.emplace<T>();
    complete = entries == field_count<T> && read_fields(in, to);
    return true;
  };
  if (!(attempt(std::in_place_type<std::variant_alternative_t<I, Body>>) || ...)) {
    return Error{"unknown kind " + std::to_string(static_cast<unsigned>(kind))};
  }
  if (!complete) {
    return Error{"kind " + std::to_string(static_cast<unsigned>(kind)) +
                 " with fields of the wrong number, type or size"};
  }
  return {};
}

Result<void> read_message(Reader& in, Message& message) {
  std::uint32_t entries = 0;
  if (!in.list(entries) || entries < fields_before_body) {
    return Error{"header is not an array of at least " + std::to_string(fields_before_body) + " fields"};
  }
  std::uint32_t version = 0;
  if (!read(in, version) || version != protocol_version) {
    return Error{"protocol version is not " + std::to_string(protocol_version)};
  }
  Kind kind{};
  Envelope& envelope = message.envelope;
  if (!read(in, kind) || !read_fields(in, envelope) || !known(envelope.role) ||
      envelope.sender.size() > limits::name_bytes_max || envelope.cluster.size() > limits::name_bytes_max) {
    return Error{"envelope with fields of the wrong type or size"};
  }
  return read_body(in, kind, entries - fields_before_body, message.body,
                   std::make_index_sequence<std::variant_size_v<Body>>{});
}

}  // namespace

std::string encode_header(const Message& message) {
  std::string header;
  encode_header(message, header);
  return header;
}

void encode_header(const Message& message, std::string& header) {
  header.clear();
  StringBuffer buffer{header};
  Packer out(buffer);
  std::visit(
      [&]<class T>(const T& body) {
        const auto fields = T::fields(body);
        out.pack_array(static_cast<std::uint32_t>(fields_before_body + std::tuple_size_v<decltype(fields)>));
        write(out, protocol_version);
        write(out, T::kind);
        std::apply([&](const auto&... field) { (write(out, field), ...); }, Envelope::fields(message.envelope));
        std::apply([&](const auto&... field) { (write(out, field), ...); }, fields);
      },
      message.body);
}

Result<Message> decode(std::span<const std::byte> header, const Payload* payload) {
  Message message;
  if (auto decoded = decode(header, payload, message); !decoded) {
    return decoded.failure();
  }
  return message;
}

Result<void> decode(std::span<const std::byte> header, const Payload* payload, Message& message) {
  const std::string_view bytes(reinterpret_cast<const char*>(header.data()), header.size());
  message.payload = {};
  if (auto decoded = read_all(bytes, [&](Reader& in) { return read_message(in, message); }); !decoded) {
    return decoded;
  }
  const Kind kind = std::visit([]<class T>(const T&) { return T::kind; }, message.body);
  if (carries_values(kind) != (payload != nullptr)) {
    return Error{"kind " + std::to_string(static_cast<unsigned>(kind)) +
                 (payload != nullptr ? " must not have a payload frame" : " needs a payload frame")};
  }
  if (payload != nullptr) {
    const bool whole = payload->size() % sizeof(float) == 0 || is_encoded(message.body);
    if (payload->size() > limits::payload_bytes_max || !whole) {
      return Error{"payload of " + std::to_string(payload->size()) +
                   " bytes is not a whole number of floats, at most " + std::to_string(limits::payload_bytes_max) +
                   " bytes"};
    }
    message.payload = *payload;
  }
  return {};
}

std::string encode_view(const View& view) {
  std::string bytes;
  StringBuffer buffer{bytes};
  Packer out(buffer);
  write(out, view);
  return bytes;
}

Result<View> decode_view(std::string_view bytes) {
  return read_all(bytes, [](Reader& in) -> Result<View> {
    View view;
    if (!read(in, view)) {
      return Error{"not a view: fields of the wrong number, type or size"};
    }
    return view;
  });
}

}  // namespace ringps
