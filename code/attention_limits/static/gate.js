// Opens a lab's controls once their kernel has answered, and takes the recorded picture away.
export default {
  render({ model, el }) {
    const question = Math.random().toString(36);
    const hear = (answer) => {
      if (answer?.question !== question) return; // another view's, or one that was saved
      el.closest(".lab-controls")?.classList.add("lab-open");
      for (const poster of document.querySelectorAll(`[data-poster="${model.get("poster")}"]`)) {
        poster.hidden = true;
      }
    };
    model.on("msg:custom", hear);
    model.send({ question });
    return () => model.off("msg:custom", hear);
  },
};
