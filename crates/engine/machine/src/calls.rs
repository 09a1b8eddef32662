//! How one service asks another: the called operation is decided like a client's request, in the group of its caller.

use kernel::{Call, Called, Secret, Service};

use crate::deciding::OpenGroup;
use crate::house::{Has, House};
use crate::machine::Machine;

/// Services that can ask each other.
pub trait Callable {
    /// A command of any of them.
    type Command;
    /// A reply of any of them.
    type Reply;
    /// What must be remembered of a call until it is answered.
    type Plan;

    /// Makes a command of a call, as for a client's request.
    ///
    /// Errors: what becomes of the call instead.
    fn prepare_call(call: &Call) -> Result<(Self::Command, Self::Plan), Called>;

    /// Makes the answer to a call of a reply.
    fn present_call(reply: Self::Reply, plan: &Self::Plan, base: &str, secret: &Secret) -> Called;
}

impl<H: House> Machine<H> {
    /// Decides what is called, and records it in the group, which has room for `call.room` bytes more afterwards.
    pub(crate) fn call(&mut self, call: &Call, group: &mut OpenGroup) -> Called {
        let (command, plan) = match H::Calls::prepare_call(call) {
            Ok(prepared) => prepared,
            Err(called) => return called,
        };
        if let Err(refusal) = self.check_room(&command) {
            return Called::Refused(refusal);
        }
        match (H::called(self, &command, group, call.room), &self.secret) {
            (Ok(reply), Some((secret, _))) => H::Calls::present_call(reply, &plan, &call.base, secret),
            (Ok(_), None) => Called::Impossible("the server is not ready".into()),
            (Err(called), _) => called,
        }
    }

    /// Decides a called operation of a service.
    pub(crate) fn called_of<S: Service>(
        &mut self,
        command: &S::Command,
        group: &mut OpenGroup,
        room: usize,
    ) -> Result<H::Reply, Called>
    where
        H: Has<S>,
    {
        match self.steps_of::<S>(0, command, group, room) {
            Ok(kernel::Outcome::Reply(Ok(reply))) => Ok(H::reply(reply)),
            Ok(kernel::Outcome::Reply(Err(refusal))) | Err(refusal) => Err(Called::Refused(refusal)),
            // Nobody waits: the request is not told to its service.
            Ok(_) => Err(Called::Impossible("the operation waits".into())),
        }
    }
}
