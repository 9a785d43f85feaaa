// Matrix factorisation: a rating is the product of a user's and an item's factors, the rows of two tables. Source:
// Koren, Bell and Volinsky 2009, without biases.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "libps/data/sample_source.hpp"
#include "libps/model/factorization_machine.hpp"
#include "libps/model/model.hpp"

namespace ringps {

/// users and items, of width `factors`; small and random at first.
std::vector<TableSpec> matrix_factorization_tables(std::uint32_t factors);

/// Half the squared error of drawn ratings.
std::unique_ptr<Model> make_matrix_factorization(std::uint32_t factors, const RatingSpec& ratings);

/// The root of the mean squared error on all ratings of a split, of which there is at least one. In double.
double rating_error(std::uint32_t factors, const ReadRow& read_user, const ReadRow& read_item,
                    const RatingSpec& ratings, Split split);

}  // namespace ringps
