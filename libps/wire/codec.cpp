#include "libps/wire/codec.hpp"

#include <algorithm>
#include <array>
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

class StringBuffer {
 public:
  void write(const char* bytes, std::size_t count) { text.append(bytes, count); }
  std::string text;
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

using Object = msgpack::object;

bool read_unsigned(const Object& from, std::uint64_t max, std::uint64_t& to) {
  if (from.type != msgpack::type::POSITIVE_INTEGER || from.via.u64 > max) {
    return false;
  }
  to = from.via.u64;
  return true;
}

/// What whoever uses a view relies on.
bool consistent(const View& view) {
  const bool known_workers = std::all_of(view.slice_worker.begin(), view.slice_worker.end(), [&](std::uint32_t worker) {
    return worker < view.workers.size() || worker == no_worker;
  });
  return known_workers && (view.epoch.value == 0 || (!view.servers.empty() && !view.settled_ring.empty()));
}

// The longest text that a field may have: identifiers are short, everything else is prose or a path. Both are bounded
// once, by the unpacker; names are bounded again where they are used as keys (see decode).
template <class T>
bool read(const Object& from, T& to) {
  if constexpr (std::is_same_v<T, std::string>) {
    if (from.type != msgpack::type::STR) {
      return false;
    }
    to.assign(from.via.str.ptr, from.via.str.size);
    return true;
  } else if constexpr (IsName<T>::value) {
    return read(from, to.value) && to.value.size() <= limits::name_bytes_max;
  } else if constexpr (std::is_same_v<T, bool>) {
    if (from.type != msgpack::type::BOOLEAN) {
      return false;
    }
    to = from.via.boolean;
    return true;
  } else if constexpr (std::is_enum_v<T>) {
    std::uint64_t number = 0;
    if (!read_unsigned(from, std::numeric_limits<std::underlying_type_t<T>>::max(), number)) {
      return false;
    }
    to = static_cast<T>(number);
    return true;
  } else if constexpr (std::is_same_v<T, double>) {
    if (from.type == msgpack::type::POSITIVE_INTEGER) {  // that is how msgpack writes whole numbers
      to = static_cast<double>(from.via.u64);
    } else if (from.type == msgpack::type::NEGATIVE_INTEGER) {
      to = static_cast<double>(from.via.i64);
    } else if (from.type == msgpack::type::FLOAT64) {
      to = from.via.f64;
    } else {
      return false;
    }
    return true;
  } else if constexpr (StrongNumber<T>) {
    return read(from, to.value);
  } else if constexpr (std::is_unsigned_v<T>) {
    std::uint64_t number = 0;
    if (!read_unsigned(from, std::numeric_limits<T>::max(), number)) {
      return false;
    }
    to = static_cast<T>(number);
    return true;
  } else if constexpr (IsList<T>::value) {
    if (from.type != msgpack::type::ARRAY || from.via.array.size > limits::list_entries_max) {
      return false;
    }
    to.clear();
    for (std::uint32_t i = 0; i < from.via.array.size; ++i) {  // one by one: a false entry must not cost a whole list
      if (!read(from.via.array.ptr[i], to.emplace_back())) {
        return false;
      }
    }
    return true;
  } else {
    static_assert(Composite<T>);
    const bool complete = std::apply(
        [&](auto&... field) {
          if (from.type != msgpack::type::ARRAY || from.via.array.size != sizeof...(field)) {
            return false;
          }
          [[maybe_unused]] const Object* next = from.via.array.ptr;
          return (read(*next++, field) && ...);
        },
        T::fields(to));
    if constexpr (std::is_same_v<T, View>) {
      return complete && consistent(to);
    }
    return complete;
  }
}

/// Enumerations from the network may hold any number; those that code switches on are checked here.
bool known(Role role) {
  return role <= Role::control;
}

/// Unpacks one msgpack object that fills `bytes` exactly and calls `use` with it while it lives.
template <class Use>
auto unpack(std::string_view bytes, Use use) -> decltype(use(Object{})) {
  if (bytes.size() > limits::header_bytes_max) {
    return Error{"header of " + std::to_string(bytes.size()) + " bytes; at most " +
                 std::to_string(limits::header_bytes_max) + " are allowed"};
  }
  const msgpack::unpack_limit limit(limits::list_entries_max, 0, limits::text_bytes_max, 0, 0, limits::nesting_max);
  try {
    std::size_t offset = 0;
    const auto handle = msgpack::unpack(bytes.data(), bytes.size(), offset, nullptr, nullptr, limit);
    if (offset != bytes.size()) {
      return Error{"header with " + std::to_string(bytes.size() - offset) + " bytes after its end"};
    }
    return use(handle.get());
  } catch (const std::exception& error) {  // msgpack's own errors and std::bad_alloc
    return Error{std::string("header is not msgpack within the limits: ") + error.what()};
  }
}

constexpr std::size_t envelope_fields = std::tuple_size_v<decltype(Envelope::fields(std::declval<Envelope&>()))>;
constexpr std::size_t fields_before_body = 2 + envelope_fields;

template <std::size_t... I>
Result<Body> read_body(Kind kind, const Object* fields, std::size_t count, std::index_sequence<I...>) {
  Result<Body> result = Error{"unknown kind " + std::to_string(static_cast<unsigned>(kind))};
  const auto attempt = [&]<class T>(std::in_place_type_t<T>) {
    if (T::kind != kind) {
      return false;
    }
    Object own;
    own.type = msgpack::type::ARRAY;
    own.via.array.size = static_cast<std::uint32_t>(count);
    own.via.array.ptr = const_cast<Object*>(fields);  // only read; msgpack's struct has no const form
    T body;
    if (read(own, body)) {
      result = Body(std::move(body));
    } else {
      result = Error{"kind " + std::to_string(static_cast<unsigned>(kind)) +
                     " with fields of the wrong number, type or size"};
    }
    return true;
  };
  (attempt(std::in_place_type<std::variant_alternative_t<I, Body>>) || ...);
  return result;
}

Result<Message> read_message(const Object& header) {
  if (header.type != msgpack::type::ARRAY || header.via.array.size < fields_before_body) {
    return Error{"header is not an array of at least " + std::to_string(fields_before_body) + " fields"};
  }
  const Object* fields = header.via.array.ptr;
  std::uint32_t version = 0;
  if (!read(fields[0], version) || version != protocol_version) {
    return Error{"protocol version is not " + std::to_string(protocol_version)};
  }
  Kind kind{};
  Message message;
  Object envelope;
  envelope.type = msgpack::type::ARRAY;
  envelope.via.array.size = envelope_fields;
  envelope.via.array.ptr = const_cast<Object*>(fields + 2);
  if (!read(fields[1], kind) || !read(envelope, message.envelope) || !known(message.envelope.role) ||
      message.envelope.sender.size() > limits::name_bytes_max ||
      message.envelope.cluster.size() > limits::name_bytes_max) {
    return Error{"envelope with fields of the wrong type or size"};
  }
  auto body = read_body(kind, fields + fields_before_body, header.via.array.size - fields_before_body,
                        std::make_index_sequence<std::variant_size_v<Body>>{});
  if (!body) {
    return Error{body.error()};
  }
  message.body = std::move(*body);
  return message;
}

}  // namespace

std::string encode_header(const Message& message) {
  StringBuffer buffer;
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
  return std::move(buffer.text);
}

Result<Message> decode(std::span<const std::byte> header, const Payload* payload) {
  const std::string_view bytes(reinterpret_cast<const char*>(header.data()), header.size());
  auto message = unpack(bytes, [](const Object& object) { return read_message(object); });
  if (!message) {
    return message;
  }
  const Kind kind = std::visit([]<class T>(const T&) { return T::kind; }, message->body);
  if (carries_values(kind) != (payload != nullptr)) {
    return Error{"kind " + std::to_string(static_cast<unsigned>(kind)) +
                 (payload != nullptr ? " must not have a payload frame" : " needs a payload frame")};
  }
  if (payload != nullptr) {
    if (payload->size() > limits::payload_bytes_max || payload->size() % sizeof(float) != 0) {
      return Error{"payload of " + std::to_string(payload->size()) +
                   " bytes is not a whole number of floats, at most " + std::to_string(limits::payload_bytes_max) +
                   " bytes"};
    }
    message->payload = *payload;
  }
  return message;
}

std::string encode_view(const View& view) {
  StringBuffer buffer;
  Packer out(buffer);
  write(out, view);
  return std::move(buffer.text);
}

Result<View> decode_view(std::string_view bytes) {
  return unpack(bytes, [](const Object& object) -> Result<View> {
    View view;
    if (!read(object, view)) {
      return Error{"not a view: fields of the wrong number, type or size"};
    }
    return view;
  });
}

}  // namespace ringps
