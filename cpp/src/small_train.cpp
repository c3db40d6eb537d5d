// One run of any registered small model under any registered optimizer.
#include "eosfast/dynamics/single.hpp"
#include "eosfast/small.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

SingleOutcome train(const PreparedModel& prepared, std::string_view optimizer, const double* optimizer_fields, const double* w0,
                    const Plan& plan, const Schedule& schedule, const RecordOutput& out, StopToken& token) {
  return std::visit(
      [&]<class M, class O>(const M& model, const O&) {
        return SingleRun<M, O>(model, plan, schedule, out, token).go(optimizer_fields, prepared.raw_fields.data(), w0);
      },
      prepared.model, optimizer_named(optimizer));
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
