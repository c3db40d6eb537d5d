// Sweeps over any registered small model under any registered optimizer.
#include "eosfast/dynamics/ensemble.hpp"
#include "eosfast/small.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

std::int64_t sweep(const std::vector<const PreparedModel*>& models, std::string_view optimizer, const SweepGrid& grid,
                   const Plan& plan, const SweepOutput& out, int num_threads, StopToken& token) {
  return std::visit(
      [&]<class M, class O>(const M&, const O&) {
        std::vector<const M*> same;
        for (const PreparedModel* prepared : models) same.push_back(&std::get<M>(prepared->model));
        return Ensemble<M, O>(same, grid, plan, out, token).run(num_threads);
      },
      models.front()->model, optimizer_named(optimizer));
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
