// Products with matrices most of whose entries are 0, in the calling thread.
#pragma once

#include "kernel.h"

#include <cstdint>
#include <vector>

namespace sparse {

struct Entry {
  int32_t column;
  float value;
};

// A matrix by its entries that are not 0, row after row. Its memory is kept
// from one matrix to the next.
class Matrix {
 public:
  // Starts an empty matrix of rows that have at most columns entries.
  void reset(int64_t rows, int64_t columns);
  // Adds a row: its entries are written from next() on, and end where close is
  // told.
  Entry* next() { return entries.data() + starts.back(); }
  void close(const Entry* end) { starts.push_back(end - entries.data()); }

  // Becomes the transpose of m, which has that many columns.
  void transpose(const Matrix& m, int64_t columns);

  int64_t rows() const { return int64_t(starts.size()) - 1; }
  int64_t size() const { return starts.back(); }  // number of entries
  const Entry* begin(int64_t row) const { return entries.data() + starts[row]; }
  const Entry* end(int64_t row) const { return entries.data() + starts[row + 1]; }
  Entry* begin(int64_t row) { return entries.data() + starts[row]; }

 private:
  std::vector<int64_t> starts;
  std::vector<Entry> entries;
};

// A dense matrix: row r begins at data + r * stride. Rows may overlap.
template <typename T>
struct Dense {
  T* data;
  int64_t stride;
};

// Sets row r of y to row r of start, or to 0 if its data is null, plus the sum
// over m's entries in that row of the entry times the row of x that its column
// names. Rows are that wide, a multiple of 16. They are taken one after the
// other, so start may be y; rows without entries are left alone then.
void product(const Matrix& m, Dense<const float> x, int64_t width, Dense<const float> start, Dense<float> y);

// Sets each entry of m to the inner product of the row of x that its row names
// and the row of y that its column names, both that wide, a multiple of 16.
void inner(Matrix& m, Dense<const float> x, Dense<const float> y, int64_t width);

// Reports whether this processor has the instruction that the next two need.
bool multiplies_bf16();

// The same for x, y and entries of m that are bfloat16; widths are multiples of
// 32. Sums are float32.
void product(const Matrix& m, Dense<const bf16> x, int64_t width, Dense<const float> start, Dense<float> y);
void inner(Matrix& m, Dense<const bf16> x, Dense<const bf16> y, int64_t width);

}  // namespace sparse
