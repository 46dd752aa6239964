//! What a command of domstate does once it has asked, a step after the other.

use domstate::domain::{Before, Begin, Event, StreamAnswer, Verb};

use super::lines;
use super::machine::{Act, Machine, Stage, Step};

impl Machine {
    pub(super) fn step(&mut self) -> Vec<Event> {
        match self.script.remove(0) {
            Step::Line(event) => {
                if matches!(
                    event,
                    Event::Done {
                        verb: Verb::Shutdown,
                        ..
                    }
                ) {
                    self.reboot = false;
                }
                let verb = Verb::SnapshotRevert;
                let loaded = matches!(event, Event::Sent { verb: sent, .. } if sent == verb);
                if loaded && self.stage != Stage::Runs {
                    self.stage = Stage::Stands;
                }
                vec![event]
            }
            Step::Act(act) => self.act(act),
        }
    }

    /// The request's first line; the rest is to come.
    pub(super) fn begin(&mut self, first: Event, rest: Vec<Step>) -> Vec<Event> {
        self.script = rest;
        vec![first]
    }

    pub(super) fn ask(&mut self, verb: Verb) -> Vec<Event> {
        let pid = self.request();
        let sent = Step::Line(Event::Sent { verb, pid });
        let done = Step::Line(Event::Done { verb, pid });
        let act = |act| vec![Step::Act(act), sent.clone(), done.clone()];
        let asked = lines::asked(verb, pid);
        self.destroys = verb == Verb::Destroy;
        match verb {
            Verb::Suspend => self.begin(asked, act(Act::Stop)),
            Verb::Resume | Verb::LetGo => self.begin(asked, act(Act::Continue)),
            Verb::Reset => self.begin(asked, act(Act::Reset)),
            Verb::Wakeup => self.begin(asked, act(Act::Wake)),
            Verb::Destroy => {
                let rest = vec![sent, Step::Act(Act::Terminate), done];
                self.begin(asked, rest)
            }
            Verb::Shutdown => self.begin(asked, vec![sent, done]),
            Verb::Reboot => {
                self.reboot = true;
                self.begin(asked, vec![sent])
            }
            _ => {
                let rest = self.job_steps(verb, sent, done);
                self.begin_job(verb, pid, None, rest)
            }
        }
    }

    fn begin_job(
        &mut self,
        verb: Verb,
        pid: u32,
        then: Option<Begin>,
        rest: Vec<Step>,
    ) -> Vec<Event> {
        self.job = true;
        let mut rest = rest;
        let setup = lines::migration("setup");
        let is_setup = |step: &Step| matches!(step, Step::Line(event) if *event == setup);
        // A snapshot is known by QEMU's words.
        let is_kept = matches!(verb, Verb::SnapshotCreate | Verb::SnapshotHalt);
        let begins = rest.iter().position(is_setup).filter(|_| !is_kept);
        if let Some(begins) = begins {
            let answer = StreamAnswer::Taken;
            let answered = Event::StreamAnswered { verb, pid, answer };
            rest.insert(begins + 1, Step::Line(answered));
            rest.insert(begins, Step::Line(Event::StreamAsked { verb, pid }));
        }
        let before = match self.stage {
            Stage::Runs => Before::Ran,
            _ => Before::Stood,
        };
        self.begin(lines::job(verb, pid, before, then), rest)
    }

    fn job_steps(&self, verb: Verb, sent: Step, done: Step) -> Vec<Step> {
        let word = |word| Step::Line(lines::migration(word));
        let stop = Step::Act(Act::Stop);
        let quit = Step::Act(Act::Quit);
        let go_on = match self.stage {
            Stage::Runs => vec![Step::Act(Act::Continue)],
            _ => vec![],
        };
        match verb {
            Verb::Save => {
                let mut steps = vec![stop, word("setup"), word("active"), word("completed")];
                steps.extend([sent, done, quit]);
                steps
            }
            Verb::Dump => [vec![stop, sent], go_on, vec![done]].concat(),
            Verb::DumpCrash => vec![stop, sent, done, quit],
            Verb::SnapshotCreate => {
                let steps = vec![stop, word("setup"), word("completed")];
                [steps, go_on, vec![sent, done]].concat()
            }
            Verb::SnapshotHalt => {
                vec![stop, word("setup"), word("completed"), sent, done, quit]
            }
            Verb::SnapshotRevert => [vec![stop, sent], go_on, vec![done]].concat(),
            Verb::Migrate => {
                let mut steps = vec![word("setup"), word("active"), stop, word("pre-switchover")];
                steps.extend([sent, word("device"), word("completed"), done, quit]);
                steps
            }
            _ => vec![],
        }
    }

    pub(super) fn ask_in_vain(&mut self, verb: Verb) -> Vec<Event> {
        let pid = self.request();
        let message = "no".to_owned();
        let failed = Step::Line(Event::Failed { verb, pid, message });
        let word = |word| Step::Line(lines::migration(word));
        let stop = Step::Act(Act::Stop);
        let go_on = match self.stage {
            Stage::Runs => vec![Step::Act(Act::Continue)],
            _ => vec![],
        };
        let steps = match verb {
            Verb::Save => vec![stop, word("setup"), word("failed")],
            // There is no place to put it in once it is carried out.
            Verb::SnapshotHalt | Verb::DumpCrash => {
                let [sent, taken_back] =
                    [Event::Sent { verb, pid }, Event::TakenBack { verb, pid }];
                let mut steps = self.job_steps(verb, Step::Line(sent), Step::Line(taken_back));
                steps.pop();
                steps
            }
            _ => vec![word("setup"), word("active"), stop, word("cancelled")],
        };
        self.begin_job(verb, pid, None, [steps, go_on, vec![failed]].concat())
    }

    pub(super) fn ask_to_stand(&mut self, verb: Verb) -> Vec<Event> {
        let pid = self.request();
        let steps = vec![
            Step::Act(Act::Stop),
            Step::Line(Event::Sent { verb, pid }),
            Step::Line(Event::Done { verb, pid }),
        ];
        self.begin_job(verb, pid, Some(Begin::Paused), steps)
    }
}
