#include "libps/model/matrix_factorization.hpp"

#include <algorithm>
#include <cmath>

#include "libps/base/check.hpp"
#include "libps/model/distinct_rows.hpp"

namespace ringps {
namespace {

double product(const float* a, const float* b, std::uint32_t factors) {
  double sum = 0;
  for (std::uint32_t k = 0; k < factors; ++k) {
    sum += double{a[k]} * double{b[k]};
  }
  return sum;
}

class MatrixFactorization final : public Model {
 public:
  MatrixFactorization(std::uint32_t factors, const RatingSpec& ratings)
      : Model({}, matrix_factorization_tables(factors)), factors_(factors), ratings_(ratings) {}

  std::size_t train_samples() const override { return ratings_.train_samples; }

  void choose_rows(std::span<const std::uint32_t> samples, RowIds& ids) override {
    index(samples);
    ids = {users_.ids(), items_.ids()};
  }

  void gradient_with_rows(std::span<const float> /*weights*/, Rows<const float> rows,
                          std::span<const std::uint32_t> samples, std::span<float> /*gradient*/,
                          Rows<float> row_gradient) override {
    index(samples);
    check(rows[0].size() == users_.ids().size() * factors_ && rows[1].size() == items_.ids().size() * factors_,
          "the rows are those that were named");
    std::vector<double> user_slopes(rows[0].size(), 0.0);
    std::vector<double> item_slopes(rows[1].size(), 0.0);
    for (const Drawn& drawn : drawn_) {
      const float* user = &rows[0][drawn.user * factors_];
      const float* item = &rows[1][drawn.item * factors_];
      const double error = product(user, item, factors_) - drawn.rating;
      for (std::uint32_t k = 0; k < factors_; ++k) {
        user_slopes[drawn.user * factors_ + k] += error * double{item[k]};
        item_slopes[drawn.item * factors_ + k] += error * double{user[k]};
      }
    }
    const auto count = static_cast<double>(samples.size());
    const auto write = [&](const std::vector<double>& slopes, std::span<float> to) {
      std::transform(slopes.begin(), slopes.end(), to.begin(),
                     [&](double slope) { return static_cast<float>(slope / count); });
    };
    write(user_slopes, row_gradient[0]);
    write(item_slopes, row_gradient[1]);
  }

 private:
  /// Draws the ratings and finds out which rows they are about; the last ones are kept.
  void index(std::span<const std::uint32_t> samples) {
    if (std::equal(samples.begin(), samples.end(), indexed_.begin(), indexed_.end())) {
      return;
    }
    indexed_.assign(samples.begin(), samples.end());
    users_.clear();
    items_.clear();
    drawn_.clear();
    for (const std::uint32_t sample : samples) {
      const Rating rating = draw_rating(ratings_, Split::train, sample);
      drawn_.push_back({users_.position(rating.user), items_.position(rating.item), double{rating.rating}});
    }
  }

  struct Drawn {
    std::size_t user;  ///< position among the users of the batch
    std::size_t item;
    double rating;
  };

  const std::uint32_t factors_;
  const RatingSpec ratings_;
  std::vector<std::uint32_t> indexed_;
  DistinctRows users_;
  DistinctRows items_;
  std::vector<Drawn> drawn_;
};

}  // namespace

std::vector<TableSpec> matrix_factorization_tables(std::uint32_t factors) {
  std::vector<TableSpec> tables(2);
  tables[0].name = "users";
  tables[1].name = "items";
  for (TableSpec& table : tables) {
    table.width = factors;
    table.initialiser = {-0.5F, 0.5F};
  }
  return tables;
}

std::unique_ptr<Model> make_matrix_factorization(std::uint32_t factors, const RatingSpec& ratings) {
  return std::make_unique<MatrixFactorization>(factors, ratings);
}

double rating_error(std::uint32_t factors, const ReadRow& read_user, const ReadRow& read_item,
                    const RatingSpec& ratings, Split split) {
  const std::size_t count = split == Split::train ? ratings.train_samples : ratings.test_samples;
  std::vector<float> user(factors);
  std::vector<float> item(factors);
  double sum = 0;
  for (std::size_t s = 0; s < count; ++s) {
    const Rating rating = draw_rating(ratings, split, s);
    read_user(rating.user, user.data());
    read_item(rating.item, item.data());
    const double error = product(user.data(), item.data(), factors) - double{rating.rating};
    sum += error * error;
  }
  return std::sqrt(sum / static_cast<double>(count));
}

}  // namespace ringps
